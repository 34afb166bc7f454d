package backup

import (
	"strings"
	"testing"
)

func TestDistinctive(t *testing.T) {
	for header, want := range map[string]bool{
		"Message-ID: <a@b>\r\nDate: today\r\n\r\n":         true,
		"message-id:<a@b>\r\nDATE:x\r\n\r\n":               true,
		"Message-ID:\r\n <a@b>\r\nDate: today\r\n\r\n":     true,
		"Date: today\nMessage-ID: <a@b>":                   true,
		"Message-ID: <a@b>\r\n\r\nDate: today\r\n":         false,
		"Message-ID:\r\nDate: today\r\n\r\n":               false,
		"Message-ID: \r\n\t\r\nDate: today\r\n\r\n":        false,
		"Subject: of\r\n Message-ID: x\r\nDate: y\r\n\r\n": false,
		"Date: today\r\n\r\n":                              false,
		"Message-ID: <a@b>\r\n\r\n":                        false,
		"":                                                 false,
		"\r\n":                                             false,
		"Received: from a (b [10.0.0.1])\r\n\tby c (Postfix) with ESMTP id 4F2B91\r\n\tfor <d@e>; Thu, 22 Aug 2002 07:36:16 +0100\r\n\r\n": true,
		"Subject: x\r\nReceived: by c id <20020822.073616@c>; Thu, 22 Aug 2002 07:36:16 +0100\r\n\r\n":                                     true,
		"Received: from a by c; Thu, 22 Aug 2002 07:36:16 +0100\r\n\r\n":                                                                   false,
		"Received: from a by c id 4F2B91; Thu, 22 Aug 2002\r\n\r\n":                                                                        false,
		"Received: from a by c id 1; Thu, 22 Aug 2002 07:36:16 +0100\r\n\r\n":                                                              false,
		"\r\nReceived: by c id 4F2B91; Thu, 22 Aug 2002 07:36:16 +0100\r\n":                                                                false,
		"X-Received: by c id 4F2B91; Thu, 22 Aug 2002 07:36:16 +0100\r\n\r\n":                                                              false,
		"Received: " + strings.Repeat(" id", 300_000) + "\r\n\r\n":                                                                         false,
	} {
		if distinctive([]byte(header)) != want {
			t.Errorf("%.200q: want %v", header, want)
		}
	}
}
