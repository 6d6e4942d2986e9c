package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"yidang/domain/notary/keyfile"
	"yidang/domain/notary/witness"
	"yidang/domain/record"
)

// witnessCmd is run by an organisation that watches the logs of others. It shares nothing with a record.
type witnessCmd struct {
	Dir         string   `required:"" help:"Folder of the witness: its key, and how far it has cosigned each log. Back it up." type:"path"`
	Name        string   `required:"" help:"Name of the witness for ever, such as witness.example/county; no spaces, no plus."`
	Listen      string   `help:"Address to serve at." default:"127.0.0.1:8090"`
	Log         []string `required:"" help:"Verifier key of a log to watch; may be given several times." placeholder:"KEY"`
	URL         string   `help:"How logs reach it, for the policy line; by default the address it serves at."`
	Certificate string   `help:"PEM file; with --private-key it is served over TLS." type:"existingfile"`
	PrivateKey  string   `help:"PEM file, mode 0600." type:"existingfile"`
	Insecure    bool     `help:"Without TLS; loopback addresses only, behind a proxy."`
}

func (witnessCmd) Help() string {
	return `Runs a C2SP tlog-witness: it cosigns what a log signs, as long as that extends what it cosigned before. Whoever demands its
cosignature cannot be shown two histories. It needs no record and no configuration. It prints its public key and the line
that a log's operator adds to the policy file (notary.policy), and where it shows what it cosigned last of each log: that is
the checkpoint to give to 'yidang verify --known'.

Examples:
  yidang witness --dir /var/lib/witness --name witness.example/county --listen 127.0.0.1:8090 --insecure \
    --log yidang.local/0123456789ab+01234567+AQ…
  yidang witness --dir w --name witness.example/county --listen 0.0.0.0:8443 --certificate c.pem --private-key k.pem --log KEY`
}

// Run serves until it is stopped.
func (cmd witnessCmd) Run(p *program) error { return cmd.serve(p, nil) }

// serve calls started, when set, once the witness answers.
func (cmd witnessCmd) serve(p *program, started func(vkey, url string)) (err error) {
	if err := cmd.check(); err != nil {
		return err
	}
	keys, err := verifiers(strings.Join(cmd.Log, ","))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cmd.Dir, 0o700); err != nil {
		return err
	}
	key, err := keyfile.Load(filepath.Join(cmd.Dir, "key"), cmd.Name, keyfile.Witness)
	if err != nil {
		return err
	}
	server, err := witness.Open(witness.Options{Dir: cmd.Dir, Key: key, Logs: witness.Logs(keys...), Log: p.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	// The listener of the API, which is TLS when there is a certificate.
	listener, err := listen(Config{Listen: cmd.Listen, TLS: TLSConfig{Certificate: cmd.Certificate, Key: cmd.PrivateKey}})
	if err != nil {
		return err
	}
	url := cmd.URL
	if url == "" {
		url = scheme(Config{TLS: TLSConfig{Certificate: cmd.Certificate}}) + "://" + listener.Addr().String()
	}
	fmt.Fprintf(p.out, "%s\n%s\n  the witness's key and its fingerprint (SHA-256 of the line)\n", server.Verifier(), fingerprint(server.Verifier()))
	fmt.Fprintf(p.out, "witness %s %s %s\nquorum %s\n  the lines of a policy that asks for it\n", cmd.Name, server.Verifier(), url, cmd.Name)
	for _, l := range witness.Logs(keys...) {
		fmt.Fprintf(p.out, "watches %s\n  what it cosigned last: %s/%x/checkpoint\n", l.Origin, url, sha256.Sum256([]byte(l.Origin)))
	}
	if started != nil {
		started(server.Verifier(), url)
	}
	return serveUntil(p.ctx, listener, server)
}

func (cmd witnessCmd) check() error {
	switch tls := cmd.Certificate != ""; {
	case tls != (cmd.PrivateKey != ""):
		return &record.Problem{Kind: record.Invalid, Field: "certificate", Message: "a certificate and its private key go together", Remedy: "give both or neither"}
	case !tls && !cmd.Insecure:
		return &record.Problem{Kind: record.Invalid, Field: "insecure", Message: "it would be served without TLS", Remedy: "give --certificate and --private-key, or --insecure at a loopback address behind a proxy"}
	case !tls && !loopback(cmd.Listen):
		return &record.Problem{Kind: record.Invalid, Field: "listen", Message: cmd.Listen + " is not a loopback address", Remedy: "without TLS listen at 127.0.0.1, behind a proxy"}
	}
	return nil
}

// serveUntil serves until the context ends, then finishes what it has accepted.
func serveUntil(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := server.Shutdown(ending)
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
