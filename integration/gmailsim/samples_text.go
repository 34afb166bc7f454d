package gmailsim

// person is a correspondent; all live at reserved domains.
type person struct{ name, addr string }

// tongue is a language with its texts and the charset its older mails use.
type tongue struct {
	charset   string // of some of its mails; the rest are UTF-8
	people    []person
	subjects  []string
	sentences []string
	hello     string
	bye       string
	wrote     string // introduces a quotation; %s is the name
}

var owner = person{"Sam Archer", "sam.archer@example.org"}

var tongues = []tongue{
	{
		people: []person{{"Ann Fielding", "ann@example.net"}, {"Tom O'Hara", "tom.ohara@example.com"}, {"Fielding, Ruth", "ruth@example.org"}},
		subjects: []string{"Boat shed keys", "Minutes of Tuesday's meeting", "Saturday walk", "Invoice 2210 and a question",
			"The draft of chapter four", "Who takes the recycling?", "Bread recipe, as promised", "Re-wiring the cellar", "Train times for Friday"},
		sentences: []string{
			"The keys are with the neighbour on the left, second bell from the top.",
			"I moved the meeting by half an hour because the room is taken until ten.",
			"If the weather holds we could walk along the river and come back by bus.",
			"Please look at page three, where the totals do not add up yet.",
			"The dough wants a whole night in the cold, otherwise it tastes of nothing.",
			"Could you tell me which of the two quotes you would accept?",
			"Nobody has seen the ladder since the roof was done.",
			"I have put the old version next to the new one so that you can compare.",
			"There is a shop at https://shop.example.com/tools that still sells the right screws.",
			"From what I heard, the bridge stays closed until the end of the month.",
		},
		hello: "Hi", bye: "Best", wrote: "%s wrote:",
	}, {
		charset: "iso-8859-1",
		people:  []person{{"Jürgen Müller", "juergen@example.net"}, {"Käthe Böhm", "kaethe.boehm@example.com"}},
		subjects: []string{"Übung am Donnerstag", "Schlüssel für das Gartenhaus", "Rückfrage zur Rechnung", "Grüße aus Österreich",
			"Prüfung der Unterlagen vor dem nächsten großen Treffen der Arbeitsgruppe in Lübeck"},
		sentences: []string{
			"Die Übung fällt diese Woche aus, weil der Saal neu gestrichen wird.",
			"Über die Höhe der Gebühren müssen wir noch einmal sprechen.",
			"Für das Frühstück sorgen wie jedes Jahr die Nachbarn von gegenüber.",
			"Der Zug fährt um zwölf Uhr fünf, nicht wie früher um halb eins.",
			"Ich schicke dir die Maße, sobald ich den Zollstock wiedergefunden habe.",
			"Größere Änderungen sind nicht geplant.",
		},
		hello: "Hallo", bye: "Viele Grüße", wrote: "%s schrieb:",
	}, {
		charset: "iso-8859-1",
		people:  []person{{"Élodie Dubois", "elodie@example.org"}, {"François Lefèvre", "f.lefevre@example.net"}},
		subjects: []string{"Le dîner de samedi", "Reçu de la réservation", "À propos de l'été prochain", "Compte rendu de la réunion",
			"Les photos de la fête, enfin triées et prêtes à être imprimées pour grand-mère"},
		sentences: []string{
			"Le marché est déplacé sur la place de l'église jusqu'à la fin des travaux.",
			"J'ai relu le texte hier soir et il me paraît très clair.",
			"N'oublie pas d'apporter la grande casserole et deux ou trois bougies.",
			"La réservation est faite pour huit personnes, près de la fenêtre.",
			"Où as-tu rangé le câble de l'imprimante ?",
			"Nous avons dû reporter le départ à cause de la grève.",
		},
		hello: "Bonjour", bye: "À bientôt", wrote: "%s a écrit :",
	}, {
		charset:  "iso-2022-jp",
		people:   []person{{"山田 花子", "hanako@example.com"}, {"佐藤 健", "ken.sato@example.org"}},
		subjects: []string{"来週の打ち合わせについて", "写真を送ります", "請求書の件", "京都旅行の予定と宿泊先のお知らせ"},
		sentences: []string{
			"来週の打ち合わせは水曜日の午後三時からに変わりました。",
			"庭の写真を何枚か添付しますので、ご覧ください。",
			"駅前の新しいパン屋はとても評判がいいそうです。",
			"請求書は月末までに送っていただければ大丈夫です。",
			"天気が良ければ、みんなで山に登りましょう。",
		},
		hello: "こんにちは", bye: "よろしくお願いします", wrote: "%s さんのメール:",
	}, {
		charset:  "koi8-r",
		people:   []person{{"Анна Иванова", "anna@example.net"}, {"Пётр Сидоров", "petr@example.org"}},
		subjects: []string{"Фотографии с дачи", "Встреча в четверг", "Вопрос по смете", "Расписание электричек на выходные и ключи от дома"},
		sentences: []string{
			"Мы приедем на дачу в субботу утром, если не будет дождя.",
			"Смету я проверил, осталось уточнить только цену кирпича.",
			"Ключи лежат в почтовом ящике у соседей.",
			"Бабушка просит привезти две банки для варенья.",
			"Электричка отправляется в семь сорок пять с третьего пути.",
		},
		hello: "Здравствуйте", bye: "С уважением", wrote: "%s пишет:",
	}, {
		charset:  "windows-1256",
		people:   []person{{"ليلى حسن", "layla@example.com"}},
		subjects: []string{"موعد الاجتماع القادم", "صور الرحلة", "سؤال عن الفاتورة"},
		sentences: []string{
			"سنلتقي يوم الخميس في الساعة الرابعة عصرا.",
			"أرسلت لك صور الرحلة في رسالة منفصلة.",
			"هل يمكنك مراجعة الفاتورة قبل نهاية الأسبوع؟",
			"المكتبة مغلقة يوم الأحد بسبب العطلة.",
		},
		hello: "مرحبا", bye: "مع التحية", wrote: "كتب %s:",
	}, {
		people:   []person{{"Mia 🌻 Larsen", "mia@example.net"}},
		subjects: []string{"🎂 Sunday!", "Concert tickets 🎵🎵", "We won 🏆 (barely)", "👩‍👩‍👧 picnic, who brings what?"},
		sentences: []string{
			"Bring cake 🍰 and somebody who can cut it straight.",
			"The band plays at eight 🎶, doors open at seven.",
			"It rained ☔ all day and nobody cared.",
			"Final score 3:2 ⚽, my voice is gone.",
			"Grandma says ❤️ and wants the photos printed.",
		},
		hello: "Hey 👋", bye: "xx 🌻", wrote: "%s said 💬",
	},
}

// SampleLabels are the forty user labels of the sample account: nested ones,
// names outside of ASCII, and names that trip careless programs.
var SampleLabels = []string{
	"Receipts", "work", "work/project x", "work/project x/notes", "work/Clients/Nordwind", "work/Clients/Åkerlund & Söner",
	"Übung", "R&D", "+x", "+IMNews", `\foo`, `say "hi"`, "日本語/手紙", "Семья", "Семья/Фото", "مشاريع", "émigré",
	"family", "family/Grandma", "family/Photos", "Reisen/Österreich", "Reisen/Österreich/Wien", "Reisen/日本",
	"lists/gophers", "lists/choir", "lists/garden", "[odd]", "(brackets)", "50% off", "star * name", "comma, semi;",
	"tilde~", "UPPER CASE", "lower.dots.in.name", "🎵 music", "🎵 music/live", "todo later", "Notes&-Ideas", `back\slash`, "Zürich, Café {1}",
}

type mailingList struct{ name, id, prefix, label string }

var sampleLists = []mailingList{
	{"Gophers of the Lower River", "gophers.lists.example.org", "[gophers]", "lists/gophers"},
	{"Village Choir", "choir.lists.example.net", "[choir]", "lists/choir"},
	{"Garden Exchange", "garden.lists.example.com", "[garden]", "lists/garden"},
}

var spamSubjects = []string{"You have won a prize you never entered", "Cheap watches, last day", "Your parcel waits for a fee", "RE: RE: urgent transfer"}

var spamSentences = []string{
	"Dear customer, your reward is waiting and needs only your card number.",
	"This offer is not available in any shop and ends tonight at midnight.",
	"We tried to deliver your parcel; pay the small fee at http://parcel.example.com/now to receive it.",
	"I am the widow of a minister and have chosen you among many.",
}
