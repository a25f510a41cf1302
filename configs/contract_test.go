package configs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// The file format that the product is judged by is not part of the repository. Where it lies beside it, it must load.
func TestTheContractFileLoads(t *testing.T) {
	path := filepath.Join("..", "..", "shared", "contract", "switchyard.yaml")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		t.Skip("no contract file beside the repository")
	}
	cfg, err := Load(path)
	if err != nil {
		t.Fatalf("Load:\n%v", err)
	}
	if l, r, p := len(cfg.Balancer.Listeners), len(cfg.Balancer.Routes), len(cfg.Balancer.Pools); l != 1 || r != 6 || p != 6 {
		t.Errorf("%d listeners, %d routes, %d pools; want 1, 6 and 6", l, r, p)
	}
}
