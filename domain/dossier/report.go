package dossier

import (
	"fmt"
	"strings"
	"time"

	"yidang/domain/record"
)

// Report is what a true dossier proves.
type Report struct {
	Manifest *Manifest
	LogKey   string // name of the key that signed
	Size     int64  // leaves in the checkpoint's tree
	Root     string // base64, as in the checkpoint
	// Witnesses of the checker's policy that cosigned.
	Witnesses []Witness

	Events, Open, Partly, Withheld, Erased, Unproved int
	Attachments                                      int
	From, To                                         time.Time // when the first and the last entry were recorded
	// PageChecked says that the page is the one that the entries give; false for one of another version of the program.
	PageChecked bool
	// ErasedUnrecorded are streams with erased entries and no entry of the erasure.
	ErasedUnrecorded []string

	Proved    []record.Text
	NotProved []record.Text
	Timeline  []Told // the entries in sentences, as this program reads them
}

// Witness is one that cosigned the checkpoint.
type Witness struct {
	Name string
	At   int64 // Unix time, by the witness's clock
}

// count adds a stream.
func (r *Report) count(c *chapter) {
	s := c.count()
	r.Events, r.Open, r.Partly, r.Withheld = r.Events+s.Events, r.Open+s.Open, r.Partly+s.Partly, r.Withheld+s.Withheld
	r.Erased, r.Unproved = r.Erased+s.Erased, r.Unproved+s.Unproved
	recorded := false
	for _, e := range c.events {
		if at := e.Meta.RecordedAt; r.From.IsZero() || at.Before(r.From) {
			r.From = at
		}
		if at := e.Meta.RecordedAt; at.After(r.To) {
			r.To = at
		}
		recorded = recorded || e.Type == record.ErasedType
	}
	if s.Erased > 0 && !recorded {
		r.ErasedUnrecorded = append(r.ErasedUnrecorded, c.name)
	}
}

// say puts the result into words.
func (r *Report) say(m *Manifest) {
	proved := func(zh, en string, args ...any) {
		r.Proved = append(r.Proved, record.T(fmt.Sprintf(zh, args...), fmt.Sprintf(en, args...)))
	}
	proved("整个压缩包由 %s 的密钥签名，没有一个字节被改动", "the zip was signed by the key of %s and not a byte of it was changed", r.LogKey)
	proved("%d 条记录都在存证日志中（检查点含 %d 条，根 %s），记录时间从 %s 到 %s", "%d entries are in the log (checkpoint of %d leaves, root %s), recorded from %s to %s",
		r.Events, r.Size, r.Root, clock(r.From), clock(r.To))
	proved("%d 个流的序号从 0 起连续，没有抽走、插入或调换", "the entries of %d streams are numbered from 0 without gap: none was taken out, put in or moved", len(m.Streams))
	proved("%d 条的内容全部出示，%d 条部分出示：所出示的就是当时记录的；附件 %d 份与登记的哈希相符", "the content of %d entries is shown whole, of %d in part: what is shown is what was recorded; %d attachments have the hash that was recorded",
		r.Open, r.Partly, r.Attachments)
	for _, w := range r.Witnesses {
		at := clock(time.Unix(w.At, 0))
		proved("见证人 %s 于 %s 副署了检查点", "the witness %s cosigned the checkpoint at %s", w.Name, at)
	}
	if r.PageChecked {
		proved("index.html 与记录一致", "index.html says what the entries say")
	}

	not := func(zh, en string, args ...any) {
		r.NotProved = append(r.NotProved, record.T(fmt.Sprintf(zh, args...), fmt.Sprintf(en, args...)))
	}
	not("所列的流是可出示的全部、到日志位置 %d 为止没有更多记录：这是服务器签名的声明", "that these are all streams that may be shown, and that there was nothing more in them up to log position %d: the server states it under its signature", m.Position)
	not("姓名与编号的对应、PDF 的内容：由服务器签名担保", "which name belongs to which id, and what the PDF says: on the server's word")
	not("记录是否符合事实：证明的是当时这样记录", "whether what was recorded is true: what is proved is that it was recorded so")
	if len(r.Witnesses) == 0 {
		not("没有经核验的见证人副署：持有日志密钥的人可能给不同的人看不同的历史", "no witness that you trust has cosigned: whoever holds the log's key could show different histories to different people")
	}
	if n := len(m.Left); n > 0 {
		not("%d 份附件未出示：其哈希是当时记录的，未出示的原因（缺失、被改动、已销毁等）以服务器签名的声明为准", "why %d attachments are left out (missing, altered, erased or other): on the server's word; their hashes are what was recorded", n)
	}
	if m.Form == addedOnly {
		not("本卷宗为早期格式：检测、协议、决定等记录所附的文件未收入", "the dossier is of an early form: attachments that tests, agreements, decisions and other entries name were not taken into it")
	}
	if r.Withheld > 0 {
		not("%d 条的内容未出示，只证明其存在、时间和经办人", "the content of %d entries is withheld: that they exist, when and by whom, is proved", r.Withheld)
	}
	if r.Partly > 0 {
		not("部分出示的 %d 条中，隐去了哪些项以清单的声明为准", "which fields are left out of the %d entries shown in part is as the manifest states", r.Partly)
	}
	if r.Erased > 0 {
		not("%d 条的密钥据称已销毁，只证明其存在、时间和经办人", "the keys of %d entries are said to be destroyed: that they exist, when and by whom, is proved", r.Erased)
	}
	if len(r.ErasedUnrecorded) > 0 {
		s := strings.Join(r.ErasedUnrecorded, ", ")
		not("下列流内容已销毁，却没有销毁记录：%s", "content is erased without an entry of the erasure in: %s", s)
	}
	if r.Unproved > 0 {
		not("%d 条早期记录没有内容承诺，其内容仅由签名担保", "%d early entries do not commit to their content: it is on the server's word", r.Unproved)
	}
	if !r.PageChecked {
		not("页面由另一版本（%s）制作，未能重制比对：请以本程序列出的记录为准", "the page was made by another version (%s) and could not be compared: go by the entries as this program lists them", m.Tool)
	}
}
