package record

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Ensure that the record of an erasure says until when a backup may still hold the key (PIPL 47), and that who runs the
// backups is told the same number.
func TestErasureSaysItsHorizon(t *testing.T) {
	for _, d := range []FileErased{{Basis: "consent-withdrawn"}, {}} {
		line := d.line()
		if !strings.Contains(line.Zh, fmt.Sprintf("密钥备份至迟 %d 日后失效", KeyBackupDays)) || !strings.Contains(line.En, fmt.Sprintf("within %d days", KeyBackupDays)) {
			t.Errorf("%+v", line)
		}
		if d.Basis != "" && !strings.Contains(line.Zh, "本人撤回同意（PIPL 47(3)）") {
			t.Errorf("%+v", line)
		}
	}
	for _, told := range []string{"../../README.md", "../vault/vault.go"} {
		raw, err := os.ReadFile(told)
		if err != nil || !strings.Contains(string(raw), fmt.Sprintf(" %d days", KeyBackupDays)) {
			t.Errorf("%s gives another number: %v", told, err)
		}
	}
}
