package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"yidang/domain/access"
)

// serveWord is the hidden first argument by which the test binary serves an installation, to be killed.
const serveWord = "serve-until-killed"

func serveUntilKilled() int {
	config, err := loadConfig("", os.Environ())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	p := &program{ctx: context.Background(), config: config, log: newLog(config.Log, os.Stderr), out: os.Stderr, err: os.Stderr}
	if err := withServer(p, func(address string) { fmt.Println(address) }); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Ensure that a server killed while many read has the record of every answer that it gave: no answer without a record.
func TestKilledReads(t *testing.T) {
	w := newTown(t)
	w.run("demo", "--months", "1", "--people", "8")
	var mu sync.Mutex
	answered := map[string]string{} // the reason that a request gave, which is its own: the address it read
	for round := range 3 {
		child := exec.Command(os.Args[0], serveWord)
		child.Env, child.Stderr = append(os.Environ(), w.environ...), os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() {
			t.Fatalf("the child did not start: %v", child.Wait())
		}
		inspector := w.signIn(lines.Text(), "inspector")
		people, _ := at(inspector.must("GET", "/v1/people?limit=5", nil, nil), "people").([]any)
		if len(people) == 0 {
			t.Fatal("nobody to read")
		}
		var readers sync.WaitGroup
		for i := range 4 {
			path := fmt.Sprintf("/v1/people/%s", at(people[i%len(people)], "id"))
			readers.Go(func() {
				for n := 0; ; n++ {
					reason := fmt.Sprintf("第%d轮-读者%d-第%d次", round, i, n)
					request, err := http.NewRequestWithContext(t.Context(), "GET", inspector.address+path, nil)
					if err != nil {
						t.Error(err)
						return
					}
					request.Header.Set("Yidang-Purpose", "inspection")
					request.Header.Set("Yidang-Reason", url.PathEscape(reason))
					answer, err := inspector.client.Do(request)
					if err != nil { // it was killed
						return
					}
					if answer.Body.Close(); answer.StatusCode == http.StatusOK {
						mu.Lock()
						answered[reason] = path
						mu.Unlock()
					}
				}
			})
		}
		time.Sleep(time.Duration(200+150*round) * time.Millisecond)
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // it says that it was killed
		readers.Wait()
	}
	recorded := map[string]string{}
	config, err := loadConfig("", w.environ)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{ctx: t.Context(), config: config, log: newLog(config.Log, w.log), out: w.log, err: w.log}
	c, err := openCore(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for s, err := range c.journal.All(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(s.Stream, "access-") {
			e, _, err := c.exec.Codec.Open(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if d := e.Data.(access.Read); d.What == access.File {
				recorded[d.Reason] = "/v1/people/" + e.Meta.Person.String()
			}
		}
	}
	if len(answered) == 0 {
		t.Error("nothing was answered")
	}
	for reason, path := range answered { // records of what was asked and not answered stand for none of them
		if recorded[reason] != path {
			t.Errorf("%s was answered to %q, and the record of it is %q", path, reason, recorded[reason])
		}
	}
}
