// Package projections is the map of everything derived. Delete any of it and it is built again from the journal.
//
//	follow      how a derived store is fed: subscription → opened events → batch → output and checkpoint together;
//	            folded files with snapshots; lag and position; what stops on poison
//	views       the encrypted SQLite file behind every list: people and search, cases, worklist, officers, units; and a
//	            person's file folded from the streams, as of any day and as known at any day
//	oversight   the index from which an inspector is answered: who recorded, amended, approved and read what; merged files
//	analytics   pseudonymous facts in ClickHouse; analytics/embedded is the default engine
//	reports     one report = one .sql file and one row
//
// A new derived store implements follow.Projection. Where it needs the state of a file rather than single events, it folds
// with follow.States. It keeps its log position together with its output, and nothing else decides what it has seen.
package projections
