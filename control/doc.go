// Package control is the control plane: the one owner of what shall be served.
//
//	                 ┌──────────────────────────────── Manager ────────────────────────────────┐
//	file ──watch──▶  │            ┌ entries ┐                                                  │
//	SIGHUP ───────▶  │ read ──▶ configs.Parse… ─────▶ balancer.Prepare ─┐                      │
//	POST reload ──▶  │                                                  │                      │
//	rollback ─────▶  │ revision ──▶ (the same)                          ├─▶ diff ─▶ state file │ ─▶ Commit
//	                 │                                                  │                      │
//	PUT, DELETE ──▶  │ configs.ParseRoute… ──▶ balancer.PrepareEdit ────┘          │           │
//	                 │                                                             ▼           │
//	                 │     status ◀── revisions (the last 10) ◀── overlay ◀── what runs        │
//	                 └─────────────────────────────────────────────────────────────────────────┘
//
// Whatever wants a change calls the [Manager], which makes one at a time: it checks all of it, prepares it, writes the
// state file, and commits. A mistake anywhere before the commit leaves everything as it is. Readers of the status look
// at a copy and never wait for a change.
//
// What runs is the file as it was loaded with the overlay on top: the changes of routes, pools and backends that were
// made at run time. Changes of routes and pools make a [Revision], and the last ten of them can be put back; a guard does
// so by itself when more connections fail after a change than before. What is said of backends (drain, maint, weights) is
// operation and no revision.
//
// The routes themselves are kept nowhere here: the balancer's table is the only copy, and of a revision the compressed
// text is kept.
package control
