package integration

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
)

// someKey is a key of nobody's: a signature whose body hash is right fails only afterwards, at the signature itself.
const someKey = "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"

// bodyFits stands in the verdict on a signature that the body and the key's kind agree with.
const bodyFits = "signature did not verify"

// dkimVerdicts counts, over the different messages among bodies that bear DKIM signatures, what a verifier says of each signature.
func dkimVerdicts(bodies [][]byte) map[string]int {
	verdicts, seen := make(map[string]int), make(map[[sha256.Size]byte]bool)
	options := &dkim.VerifyOptions{MaxVerifications: 10, LookupTXT: func(string) ([]string, error) { return []string{someKey}, nil }}
	for _, body := range bodies {
		if sum := sha256.Sum256(body); seen[sum] || !bytes.Contains(bytes.ToLower(body), []byte("dkim-signature:")) {
			continue
		} else {
			seen[sum] = true
		}
		found, err := dkim.VerifyWithOptions(bytes.NewReader(body), options)
		if err != nil && !errors.Is(err, dkim.ErrTooManySignatures) {
			verdicts["no header: "+err.Error()]++
		}
		for _, v := range found {
			verdicts[fmt.Sprintf("%s %v: %v", v.Domain, v.HeaderKeys, v.Err)]++
		}
	}
	return verdicts
}

// compareSignatures reports signatures of the messages given to a server that a verifier judges differently in what is served.
func compareSignatures(t *testing.T, given [][]byte, got account) {
	t.Helper()
	var out [][]byte
	for _, box := range got {
		for _, m := range box {
			out = append(out, m.raw)
		}
	}
	before, after := dkimVerdicts(given), dkimVerdicts(out)
	fit, all := 0, 0
	for verdict, n := range before {
		if after[verdict] != n {
			t.Errorf("%d signatures instead of %d: %s", after[verdict], n, verdict)
		}
		if all += n; strings.Contains(verdict, bodyFits) {
			fit += n
		}
	}
	for verdict := range maps.Keys(after) {
		if before[verdict] == 0 {
			t.Errorf("a signature is judged as it was not before: %s", verdict)
		}
	}
	t.Logf("DKIM: %d signatures, the body hash of %d is right", all, fit)
	if fit < 500 {
		t.Errorf("the body hash of only %d signatures is right; want hundreds", fit)
	}
}
