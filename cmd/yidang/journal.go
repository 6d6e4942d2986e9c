package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"yidang/domain/journal/embedded"
	"yidang/domain/record"
)

// journalCmd serves the journal to other programs.
type journalCmd struct {
	Listen   string `help:"Address to serve at." default:"127.0.0.1:2113"`
	Insecure bool   `help:"Without TLS, any credentials accepted; loopback addresses only."`
}

func (journalCmd) Help() string {
	return `Serves EventStoreDB's gRPC protocol over the journal of the data folder, so that auditors and downstream systems can
attach with any EventStoreDB client. Data stays sealed: who has no key reads types, times and codes only. Without
--insecure, journal.tls and journal.users of the configuration say who may attach.

Example:
  yidang journal --listen 127.0.0.1:2113 --insecure`
}

// Run serves until it is stopped.
func (cmd journalCmd) Run(p *program) error {
	p.config.Journal.Listen, p.config.Journal.Insecure = cmd.Listen, cmd.Insecure
	if err := p.config.Validate(); err != nil {
		return err
	}
	o, err := embeddedOptions(p)
	if err != nil {
		return err
	}
	if _, err := os.Stat(o.Dir); errors.Is(err, fs.ErrNotExist) { // not hasRecord: what is served needs no key
		return &record.Problem{Kind: record.NotFound, Field: "data", Message: "there is no journal here: " + o.Dir + " is missing", Zh: "此处没有日志",
			Remedy: "name the data folder with data = \"…\" or YIDANG_DATA"}
	}
	server, err := embedded.Start(p.ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.err, "journal served at %s; stop with Ctrl-C\n", server.Addr())
	<-p.ctx.Done()
	return server.Close()
}

// embeddedOptions turns the configuration into the embedded server's.
func embeddedOptions(p *program) (embedded.Options, error) {
	j := p.config.Journal
	o := embedded.Options{Dir: filepath.Join(p.config.domainDir(), "journal"), Listen: j.Listen, Insecure: j.Insecure, Log: p.log}
	if j.Listen == "" || j.Insecure {
		return o, nil
	}
	pair, err := tls.LoadX509KeyPair(j.TLS.Certificate, j.TLS.Key)
	if err != nil {
		return o, fmt.Errorf("journal.tls: %w", err)
	}
	o.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	o.Users, err = readUsers(j.Users)
	return o, err
}

// readUsers reads lines of "name rights hash"; rights are read or write; # begins a comment.
func readUsers(path string) ([]embedded.User, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("journal.users: %w", err)
	}
	defer f.Close()
	var users []embedded.User
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[1] != "read" && fields[1] != "write" {
			return nil, fmt.Errorf("%s:%d: must be: name, read or write, password hash", path, n)
		}
		users = append(users, embedded.User{Name: fields[0], Write: fields[1] == "write", Hash: fields[2]})
	}
	return users, lines.Err()
}
