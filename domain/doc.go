// Package domain is the truth: lose it and the record is lost. Everything in it is written so that it can be believed years
// later by somebody who was not there.
//
// The map of the house, from the ground up. A package imports only those above it in this list:
//
//	record       what a fact is: events, commands, categories as tables, two clocks, folding, problems
//	journal      reads and writes of events through the EventStoreDB client; journal/embedded is the default server
//	vault        one key per stream, wrapped; vault/sealed opens encrypted SQLite files
//	notary       the Merkle log over the journal: leaves, signed checkpoints, proofs, tiles, witnesses
//	attachments  sealed blobs by hash
//	units        villages, stations, offices
//	policy       duties and deadlines as data, with the clause they come from; the working-day calendar
//	access       what a reading is: who opened whose file, for what purpose
//	person       who somebody is; the rules of the citizen id
//	staff        officers, posts, sign-in
//	intake       which roster was taken in, and what became of its rows
//	casework     what every case shares: responsibility, visits, services, hand-over, the duty engine
//	programs     the rules of one group of people each, in a folder of its own
//	catalog      the one list of categories; the codec; the fixtures of stored forms
//	commands     authorise → load → decide → seal → append; the only way anything is recorded; what takes two people
//	audit        the whole record verified from its events alone
//	dossier      a person's file as one zip that an outsider checks offline
//
// Adding an event type: its data type, its decision and its row go into the file of its noun in the program, the row's name
// into that program's list when the noun is new, and a fixture into catalog/testdata. Route, validation, API description,
// codec, idempotency, timeline line and analytics fact come from the row.
package domain
