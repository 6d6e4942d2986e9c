package imports

import "testing"

// Ensure that dates are read in the forms in which offices write them, and nothing else is taken for one.
func TestParseDate(t *testing.T) {
	for in, want := range map[string]string{
		"2026年5月5日": "2026-05-05", "2025.8.2": "2025-08-02", "2009/3": "2009-03", "2015年": "2015", "2015": "2015", "20250802": "2025-08-02",
		"201206": "2012-06", "2012.6": "2012-06", "2018年3月": "2018-03", "2018年3月份": "", "２０２５．８．２": "2025-08-02", "2025-08-02 00:00:00": "2025-08-02",
		"2025/8/2 0:00": "2025-08-02", "2025-08-02T10:00:00Z": "2025-08-02", "二〇二五年八月二日": "2025-08-02", "二O二五年十二月三十一日": "2025-12-31",
		"二零一零年十月": "2010-10", "二○二五年二十月": "", "2025 年 8 月 2 日": "2025-08-02", "2025年8月2号": "2025-08-02", "25.8.2": "2025-08-02", "98.12.31": "1998-12-31",
		"2025.8.2至2028.8.1": "2025-08-02", "约2015年": "2015", "2015年左右": "2015", "2012年初": "2012", "45560": "2024-09-25", "2024-02-29": "2024-02-29",
		"2025。8。2": "2025-08-02", "2025、8、2": "2025-08-02",
		"2026-13-40": "", "2025-02-29": "", "2025.0.1": "", "2025.1.0": "", "20251301": "", "202500": "", "1850.1.1": "", "2999": "", "8/2/2025": "", "25.8": "", "年": "",
		"90年代": "", "2025.8.2签": "", "5月5日": "", "12022706930": "", "-": "", "十年": "", "99999999999999999999": "",
	} {
		d, ok := parseDate(in)
		got := ""
		if ok {
			got = d.String()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// Ensure that numbers are read as serial numbers of either date system, or as dates typed without separators.
func TestNumericDate(t *testing.T) {
	for _, c := range []struct {
		v          float64
		shown, mac bool
		want       string
	}{
		{45560, false, false, "2024-09-25"},
		{45560, true, false, "2024-09-25"},
		{45560.75, true, false, "2024-09-25"},
		{44098, false, true, "2024-09-25"},
		{44098, true, true, "2024-09-25"},
		{61, true, false, "1900-03-01"},
		{60, true, false, ""}, // 29 February 1900 exists in Excel only
		{20250802, false, false, "2025-08-02"},
		{201206, false, false, "2012-06"},
		{2015, false, false, "2015"},
		{2015, true, false, "1905-07-07"},
		{2012.6, false, false, "2012-06"},
		{2012.12, false, false, "2012-12"},
		{2012.1, false, false, "2012"}, // January or October
		{2012.13, false, false, ""},
		{7, false, false, ""},
		{-45560, true, false, ""},
		{1e300, true, false, ""},
		{12022706930, false, false, ""},
	} {
		got := ""
		if d, ok := numericDate(c.v, c.shown, c.mac); ok {
			got = d.String()
		}
		if got != c.want {
			t.Errorf("%v: got %q, want %q", c.v, got, c.want)
		}
	}
}

// Ensure that the codes are those of the standards, by their first and last and some between.
func TestCodes(t *testing.T) {
	for in, want := range map[string]string{"汉": "01", "汉族": "01", "維吾爾族": "05", "维族": "05", "土家族": "15", "土族": "30", "基诺族": "56", "11": "11", "57": "", "族": "", "汉汉": ""} {
		if got, ok := readEthnicity(in); got != want || ok != (want != "") {
			t.Errorf("%q: got %q", in, got)
		}
	}
	for in, want := range map[string]string{"严格": TierStrict, "嚴格管理對象": TierStrict, "严管对象": TierStrict, "重 点": TierPriority, "重点管控人员": TierPriority, "一般管理类": TierGeneral,
		"一级": "", "A": "", "严格/重点": "", "高": "", "管理": "", "": "", "非重点": "", "二": ""} {
		if got, ok := readTier(in); got != want || ok != (want != "") {
			t.Errorf("%q: got %q", in, got)
		}
	}
	for in, want := range map[string]string{"阴性": TestNegative, "阴": TestNegative, "陰性": TestNegative, "（-）": TestNegative, "阴性(-)": TestNegative, "阳性": TestPositive, "＋": TestPositive, "吗啡阳性": TestPositive,
		"未检": TestNone, "": TestNone, "-": TestNone, "无": TestNone} {
		if got, ok := readResult(in); got != want || !ok {
			t.Errorf("%q: got %q %v", in, got, ok)
		}
	}
	for _, in := range []string{"拒检", "弱阳性？阴性", "疑似阳性", "待复检阳性", "非阴性", "合格"} {
		if got, ok := readResult(in); ok || got != TestNone {
			t.Errorf("%q: got %q", in, got)
		}
	}
}

// Ensure that headings are told apart from those that only look like them.
func TestClassify(t *testing.T) {
	for f, headings := range spellings {
		for _, h := range headings {
			if got, _ := classify([]string{h}); got != f {
				t.Errorf("%q: got %q, want %q", h, got, f)
			}
		}
	}
	for _, h := range append(distractors, "人数", "责任单位", "紧急联系人", "帮教措施", "发证机关", "（必填）", "", "照片", "尿检机构", "协议编号") {
		if got, _ := classify([]string{h}); got != "" && got != responsible {
			t.Errorf("%q: got %q", h, got)
		}
	}
	for _, c := range []struct {
		path []string
		want field
	}{
		{[]string{"包保责任人", "姓名"}, responsible},
		{[]string{"包保责任人", "电话"}, ""},
		{[]string{"家属", "姓名"}, ""},
		{[]string{"家属", "电话"}, familyPhone},
		{[]string{"联系方式", "家属"}, familyPhone},
		{[]string{"联系方式", "本人"}, phone},
		{[]string{"基本情况", "姓名"}, name},
		{[]string{"最近一次尿检", "日期"}, testDate},
		{[]string{"管控情况", "尿检", "结果"}, testResult},
		{[]string{"社区戒毒协议", "日期"}, agreement},
		{[]string{"社区戒毒协议", "编号"}, ""},
		{[]string{"责任人及联系电话"}, responsible},
	} {
		if got, _ := classify(c.path); got != c.want {
			t.Errorf("%q: got %q, want %q", c.path, got, c.want)
		}
	}
}
