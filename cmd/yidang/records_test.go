package main

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"yidang/domain/attachments"
	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

// Ensure that whoever is about to register somebody who looks registered is shown the files, also those that he may not
// read, so that he can say who is somebody else (D-12).
func TestLookalikesAreShown(t *testing.T) {
	withCrossing(t, func(c *crossing) {
		withID, other := c.citizen(), c.citizen()
		card := c.do(c.neighbour, "person", "person.register", uuid.Nil, person.Register{Name: "赵同名", CitizenID: withID, Phone: "12000000001", Village: c.foreign})
		none := c.do(c.neighbour, "person", "person.register", uuid.Nil, person.Register{Name: "赵同名", NoCardReason: "证件遗失", Phone: "12000000002", Village: c.foreign, DifferentFrom: []uuid.UUID{card}})
		if err := c.settled(c.ctx); err != nil {
			t.Fatal(err)
		}
		birth := person.CitizenID(withID).BirthDate().Format(record.Day)
		register := func(in person.Register) error {
			in.Village = c.here
			_, err := c.exec.Do(c.ctx, commands.Request{Category: "person", Command: "person.register", Officer: c.xu, Input: in, DryRun: true})
			return err
		}
		for _, k := range []struct {
			name string
			in   person.Register
			want []person.Lookalike
		}{
			{"the birth day", person.Register{Name: "赵同名", NoCardReason: "证件遗失", Birth: birth}, []person.Lookalike{{ID: card, CitizenID: person.CitizenID(withID).Masked(), Birth: true}}},
			{"the phone number", person.Register{Name: "赵 同名", NoCardReason: "证件遗失", Phone: " 12000000002"}, []person.Lookalike{{ID: none, Phone: true}}},
			{"the phone number of one without a card", person.Register{Name: "赵同名", CitizenID: other, Phone: "12000000002"}, []person.Lookalike{{ID: none, Phone: true}}},
			{"two citizen ids", person.Register{Name: "赵同名", CitizenID: other, Phone: "12000000001"}, nil},
			{"the name alone", person.Register{Name: "赵同名", NoCardReason: "证件遗失", Phone: "12000000003"}, nil},
			{"the phone number alone", person.Register{Name: "钱异名", NoCardReason: "证件遗失", Phone: "12000000002"}, nil},
		} {
			err := register(k.in)
			var known *person.LooksKnown
			errors.As(err, &known)
			switch {
			case k.want == nil:
				if err != nil {
					t.Errorf("%s: %v", k.name, err)
				}
				continue
			case !errors.Is(err, person.ErrLooksKnown) || known == nil || len(known.Files) != len(k.want) || known.Files[0] != k.want[0]:
				t.Errorf("%s: %v %+v, want %+v", k.name, err, known, k.want)
				continue
			}
			if strings.Contains(known.Files[0].CitizenID, withID[6:14]) {
				t.Errorf("%s: the birth day of a stranger is shown", k.name)
			}
			k.in.DifferentFrom = []uuid.UUID{known.Files[0].ID}
			if err := register(k.in); err != nil {
				t.Errorf("%s, said to be somebody else: %v", k.name, err)
			}
		}
	})
}

// Ensure that a second open case of a program is refused (D-12), and that a person's file is kept as long as the content of
// a case is (PIPL 47).
func TestOneOpenCase(t *testing.T) {
	withCrossing(t, func(c *crossing) {
		who := c.do(c.xu, "person", "person.register", uuid.Nil, person.Register{Name: "赵在办", CitizenID: c.citizen(), Village: c.here})
		open := commands.Request{Category: "drugs", Command: "drugs.open", Officer: c.xu, Input: drugs.Open{Person: who, Village: c.here, Kind: drugs.Voluntary}, CommandID: uuid.New()}
		if _, err := c.exec.Do(c.ctx, open); err != nil {
			t.Fatal(err)
		}
		if err := c.settled(c.ctx); err != nil {
			t.Fatal(err)
		}
		if again, err := c.exec.Do(c.ctx, open); err != nil || !again.Repeated {
			t.Errorf("the repeat: %+v %v", again, err)
		}
		open.CommandID = uuid.New()
		if _, err := c.exec.Do(c.ctx, open); !errors.Is(err, errCaseOpen) {
			t.Errorf("a second case: %v", err)
		}
		erase := commands.Request{Category: "person", Command: "record.erase_file", ID: who, Officer: c.xu, Input: record.EraseFile{Basis: "retention-ended", Reason: "保存期限届满"}, DryRun: true}
		if _, err := c.exec.Do(c.ctx, erase); !errors.Is(err, errCaseKept) {
			t.Errorf("the erasure of the person's file: %v", err)
		}
	})
}

// Ensure that an erased case leaves no blob in the store, also when the program dies between the record and the act
// (S-16; PIPL 47).
func TestErasedAttachmentsAreRemoved(t *testing.T) {
	withCrossing(t, func(c *crossing) {
		who := c.do(c.xu, "person", "person.register", uuid.Nil, person.Register{Name: "赵销毁", CitizenID: c.citizen(), Village: c.here})
		files := func() (n int) {
			_ = filepath.WalkDir(c.blobDir, func(_ string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					n++
				}
				return err
			})
			return n
		}
		two := func(id uuid.UUID, command string, in any) {
			t.Helper()
			proposed, err := c.exec.Do(c.ctx, commands.Request{Category: "drugs", Command: command, ID: id, Officer: c.xu, Input: in})
			if err != nil {
				t.Fatal(err)
			}
			c.do(c.hu, "drugs", "record.approve_proposal", id, record.ApproveProposal{Proposal: proposed.Proposal, Note: "材料齐全"})
		}
		id := c.do(c.xu, "drugs", "drugs.open", uuid.Nil, drugs.Open{Person: who, Village: c.here, Kind: drugs.Voluntary})
		paper, err := c.blobs.Put(c.ctx, record.StreamOf("drugs", id), strings.NewReader("戒毒协议，测试文本"), attachments.Info{})
		if err != nil {
			t.Fatal(err)
		}
		c.do(c.xu, "drugs", "casework.add_attachment", id, casework.AddAttachment{Attachment: casework.Attachment{SHA256: paper.SHA256, Size: paper.Size, MediaType: paper.MediaType}, Title: "协议"})
		if _, err := c.blobs.Put(c.ctx, record.StreamOf("drugs", id), strings.NewReader("从未登记的文件"), attachments.Info{}); err != nil {
			t.Fatal(err)
		}
		two(id, "drugs.close_case", drugs.CloseCase{Reason: "withdrawn"})
		if n := files(); n != 2 {
			t.Fatalf("%d files before the erasure", n)
		}
		two(id, "record.erase_file", record.EraseFile{Basis: "consent-withdrawn", Reason: "本人书面撤回同意"})
		if err := c.settled(c.ctx); err != nil {
			t.Fatal(err)
		}
		if n := files(); n != 0 {
			t.Errorf("%d files are left", n)
		}
	})
}
