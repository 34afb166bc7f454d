package gen

import (
	"fmt"
	"math/rand/v2"
	"mime"
	"strings"
)

// Words that are planted to be searched for; no made-up word holds one of them.
const (
	needleSubject = "quarterly"
	needleBody    = "xylophonist"
	needleFrom    = "ferdinand"
)

// labelNames is the label set: 60 names, a third of them nested, some not ASCII.
func labelNames() []string {
	names := []string{
		"INBOX", "Work", "Work/Clients/Acme", "Newsletters", "Büro", "Family",
		"Receipts", "Work/Clients/Globex", "Travel", "Work/Projects/Apollo",
		"Sent", "Lists/golang-nuts", "Lists/imap-protocol", "Finance/Bank",
		"Finance/Taxes/2019", "Finance/Taxes/2020", "Work/Clients/Initech",
		"Büro/Rechnungen", "Häuser", "日本語",
	}
	for i := len(names); i < 60; i++ {
		if i%3 == 0 {
			names = append(names, fmt.Sprintf("Archive/%d/Topic %02d", 2014+i%11, i))
		} else {
			names = append(names, fmt.Sprintf("Label %02d", i))
		}
	}
	return names
}

// makeVocab makes 4,000 word-like strings.
func makeVocab(seed uint64) []string {
	r := rand.New(rand.NewPCG(seed, 0xD1C7))
	const consonants, vowels = "bcdfghjklmnprstvwz", "aeiou"
	words := make([]string, 4000)
	for i := range words {
		var b strings.Builder
		for range 1 + r.IntN(4) {
			b.WriteByte(consonants[r.IntN(len(consonants))])
			b.WriteByte(vowels[r.IntN(len(vowels))])
			if r.IntN(3) == 0 {
				b.WriteByte(consonants[r.IntN(len(consonants))])
			}
		}
		words[i] = b.String()
	}
	return words
}

var (
	wordUse   = newZipf(4000, 1.0)
	people    = makePeople()
	personUse = newZipf(len(people), 1.0)
)

func makePeople() []string {
	first := []string{"Alice", "Bob", "Carla", "Dmitri", "Erika", "Farid", "Grete", "Hiro", "Ines", "Jürgen",
		"Katja", "Liam", "Mónica", "Nils", "Olga", "Pavel", "Quentin", "Rosa", "Søren", "Tariq"}
	last := []string{"Anders", "Becker", "Chandra", "Dubois", "Eriksen", "Fischer", "Garcia", "Hansen", "Ivanova", "Jones"}
	var out []string
	for _, l := range last {
		for _, f := range first {
			out = append(out, f+" "+l)
		}
	}
	out[25] = "Ferdinand Porter"
	return out
}

func address(name string) string {
	local := strings.ToLower(strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '.'
		case r > 126:
			return 'x'
		}
		return r
	}, name))
	addr := "<" + local + "@mail.example.com>"
	if isASCII(name) {
		return name + " " + addr
	}
	return mime.QEncoding.Encode("utf-8", name) + " " + addr
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] > 126 {
			return false
		}
	}
	return true
}

// messageID is the Message-ID of message number id.
func messageID(seed uint64, id int) string {
	r := rand.New(rand.NewPCG(seed, uint64(id)^0xABCDEF))
	return fmt.Sprintf("<CA+%s%06d@mail.gmail.example>", token(r, 42), id)
}

func token(r *rand.Rand, n int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

// folded is a base64-like value of n characters, folded as signatures are.
func folded(r *rand.Rand, n int) string {
	var b strings.Builder
	for n > 0 {
		k := min(n, 64)
		b.WriteString("\r\n         ")
		b.WriteString(token(r, k))
		n -= k
	}
	return b.String()
}
