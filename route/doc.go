// Package route decides which pool a connection belongs to, from its server name, ALPN, client and listener.
//
//	Set ── Check ──┬─ conflicts: nothing changes
//	 (a file)      └─ one write transaction ─> Table (go-memdb)
//	                                             │ Snapshot: one atomic load
//	                                             v
//	hello ── ParseName ── Name ── Query ──> Snapshot.Match ──> Decision: pool | reject
//	                                └─────> Snapshot.Explain ─> Explanation: and why
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
