package drugs

import (
	"yidang/domain/casework"
	"yidang/domain/record"
)

// RecordMaintenance says that the person takes part in drug maintenance treatment at a clinic, or no longer does. Who reads
// a test must know: the medicine itself can show in it.
type RecordMaintenance struct {
	Medicine string `json:"medicine" enum:"methadone,buprenorphine,none" doc:"none: the treatment ended"`
	Clinic   string `json:"clinic,omitempty" maxLength:"80"`
}

// MaintenanceRecorded is the record.
type MaintenanceRecorded struct {
	Medicine string `json:"medicine"`
	Clinic   string `json:"clinic,omitempty"`
}

// Facets of the treatment.
func (d MaintenanceRecorded) Facets() record.Facets { return record.Facets{Code: d.Medicine} }

// Medicines of maintenance treatment.
var Medicines = casework.Terms{
	{Code: "methadone", Title: record.T("美沙酮", "methadone"), Source: "禁毒法 51"},
	{Code: "buprenorphine", Title: record.T("丁丙诺啡", "buprenorphine"), Source: "禁毒法 51"},
	{Code: "none", Title: record.T("已终止", "ended"), Source: "禁毒法 51"},
}

var maintenanceEvents = []record.EventRow{
	record.On("drugs.maintenance_recorded", record.T("药物维持治疗", "Maintenance treatment"),
		func(c *Case, d MaintenanceRecorded, _ record.Event) { c.Maintenance = d.Medicine },
		func(d MaintenanceRecorded) record.Text {
			m := Medicines.Title(d.Medicine)
			return say(record.T("药物维持治疗："+m.Zh, "Maintenance treatment: "+m.En), also("机构：", "at ", d.Clinic))
		}),
}

var maintenanceCommands = []record.CommandRow{
	record.Do("drugs.record_maintenance", record.T("登记药物维持治疗", "Record maintenance treatment"), "禁毒法 51 [GK]; 戒毒条例 18", recordMaintenance, village, police, office),
}

func recordMaintenance(c *Case, in RecordMaintenance, g record.Given) ([]any, error) {
	if err := firstOf(casework.MustBeOpen(c, g), Medicines.Check("medicine", in.Medicine)); err != nil {
		return nil, err
	}
	if in.Medicine == c.Maintenance {
		return nil, nil
	}
	return []any{MaintenanceRecorded(in)}, nil
}
