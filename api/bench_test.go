package api_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"yidang/domain/casework"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
)

// BenchmarkRecordVisit records visits over HTTP with a session each: sign-in checked, validated, decided, sealed, appended
// and fsynced. Callers and server share the machine, as in the table of figures.
//
//	go test ./api -run '^$' -bench RecordVisit -benchtime 20000x
func BenchmarkRecordVisit(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			w := newTown(b, nil).build()
			cookie := w.signIn("cadre").cookie
			paths := make([]string, callers)
			for i := range paths {
				p := w.do(w.officers["police"], "person", "person.register", [16]byte{}, person.Register{Name: "测试", NoCardReason: "无证", Village: w.units["前进村"]}).ID
				c := w.do(w.officers["police"], "drugs", "drugs.open", [16]byte{}, drugs.Open{Person: p, Village: w.units["前进村"], Kind: drugs.Voluntary}).ID
				w.do(w.officers["office"], "drugs", "casework.assign_responsible", c, casework.AssignResponsible{Officer: w.officers["cadre"], Role: "village-cadre"})
				paths[i] = w.http.URL + "/v1/drugs/" + c.String() + "/record-visit"
			}
			body := []byte(`{"outcome":"met","place":"家中","note":"情况正常，精神状态良好，家属在场。"}`)
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers, MaxConnsPerHost: callers}}
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for _, path := range paths {
				wg.Go(func() {
					for next.Add(1) <= int64(b.N) {
						r, err := http.NewRequest(http.MethodPost, path, bytes.NewReader(body))
						if err != nil {
							b.Error(err)
							return
						}
						r.Header.Set("Content-Type", "application/json")
						r.AddCookie(cookie)
						res, err := client.Do(r)
						if err != nil {
							b.Error(err)
							return
						}
						_, _ = io.Copy(io.Discard, res.Body)
						res.Body.Close()
						if res.StatusCode != http.StatusOK {
							b.Errorf("status %d", res.StatusCode)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "visits/s")
		})
	}
}
