// Package api is how people and machines reach the record over HTTP. It decides nothing: who may do what is decided in
// domain/commands, what may be recorded in the categories. The map of the package:
//
//	api.go        Options, New, Serve
//	visit.go      what happens to every request: name, headers, limits, origin, sign-in, log, panics
//	limits.go     rate, size and time limits
//	problems.go   errors → RFC 9457, the one place
//	schema.go     JSON schemas and strict bodies
//	document.go   the OpenAPI 3.1 document; read and action register routes in it
//	commands.go   one route per command of the catalog
//	handovers.go  a caseload in one call
//	me.go         sign-in, password, tokens
//	reads.go      what reads share: position, reach, the best post
//	people.go timeline.go cases.go worklist.go staffing.go policy.go   reads
//	readlog.go    each reading is recorded before its answer, with its purpose
//	emergencies.go                                         who learns of emergency readings, and how
//	difference.go inspect.go proposals.go   what became known; what inspectors and supervisors ask; what waits for approval
//	log.go dossier.go   the log of proofs (/log, proofs by event, consistency), a file taken away as a zip
//	state.go      the state of a program, shown without knowing the program
//	redact.go     what a role needs to know (S-14), the one place
//	reports.go attachments.go imports.go
//	health.go     /metrics, /healthz, /readyz
//	docs.go       the pages /docs and /problems
//
// A route that carries a command comes from the catalog: adding a command adds its route, validation and description. A
// route added by hand needs a line in testdata/matrix.txt that says who may use it, or the tests fail.
package api
