package main

import (
	"testing"

	"github.com/seed-23b4a313/switchyard/admin"
)

func TestARouteTellsWhereItsConnectionsGo(t *testing.T) {
	t.Parallel()
	split := []admin.Share{{Pool: "web", Weight: 9}, {Pool: "other", Weight: 1}}
	for want, r := range map[string]admin.Route{
		"pool web":                             {Pool: "web"},
		"split web 9, other 1":                 {Split: split},
		"reject reset":                         {Reject: "reset"},
		"terminate, then pool web":             {Pool: "web", Terminates: true},
		"terminate, then split web 9, other 1": {Split: split, Terminates: true},
	} {
		if got := target(&r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
