// Package route decides which pool a connection belongs to, from its server name, ALPN, client and listener.
//
//	Set ─────── Prepare ─────────┐
//	 (a file)                    │
//	Edit ────── PrepareEdit ─────┼─ checks ──┬─ conflicts: nothing changes
//	 (a few rows, by name)       │           │
//	Snapshot ── PrepareSnapshot ─┘           └─> Pending ─┬─ Snapshot, Changes: what it would be
//	 (an earlier one)                    one write        ├─ Abort: nothing changes
//	                                     transaction      └─ Commit ─> Table (go-memdb)
//	                                                                     │ Snapshot: one atomic load
//	                                                                     v
//	hello ── ParseName ── Name ── Query ──────────────────────────────> Snapshot.Match ──> Decision: pool | reject
//	                                └─────────────────────────────────> Snapshot.Explain ─> Explanation: and why
//
// A change writes only rows that are not as they were, so the snapshots of a table share what did not change between them.
// An edited table is the one that the whole Set would make.
//
// A name is looked for in one tree of reversed labels, most specific host first:
//
//	api.example.com    com.example.api\x00    1. exact
//	*.example.com      com.example.           2. the longest suffix
//	~^db-[0-9]+\.x$    (beside the tree)      3. expressions in file order
//	*                  (the root)             4. any name
//
// Among routes with the same host, one with more conditions is tried first, then file order. Where no condition holds,
// the search goes on with the next less specific host. docs/routing.md tells it to operators.
//
// Nothing here touches a socket, a clock or a log. Everything put into the database is never changed afterwards.
package route
