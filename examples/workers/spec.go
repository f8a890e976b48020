package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// maxResult is how much of what a command prints is kept: the last bytes.
const maxResult = 4 << 10

// run does what the spec says, and returns the result. When an engine is killed by kill -9, its
// command may run on while another engine repeats the job. Each finds the fencing token of its
// claim in the environment: what it writes to can refuse a token lower than one that it has seen.
func (s JobSpec) run(ctx context.Context, key string, token int64) (result string, err error) {
	if len(s.Command) == 0 {
		return s.hash(ctx, key)
	}
	cmd := exec.CommandContext(ctx, s.Command[0], s.Command[1:]...)
	cmd.Env = append(os.Environ(), "JOB_KEY="+key, fmt.Sprintf("JOB_TOKEN=%d", token))
	cmd.Env = append(cmd.Env, storeEnv+"=") // its URL may hold a password
	cmd.WaitDelay = 3 * time.Second
	out, err := cmd.CombinedOutput()
	text := strings.ToValidUTF8(string(out[max(0, len(out)-maxResult):]), "\uFFFD")
	return strings.TrimSpace(text), err
}

// hash returns the SHA-256 of HashBytes bytes: the key, over and over.
func (s JobSpec) hash(ctx context.Context, key string) (string, error) {
	if key == "" {
		return "", errors.New("nothing to hash")
	}
	h := sha256.New()
	block := []byte(strings.Repeat(key, 1+(1<<20)/len(key)))
	for left := s.HashBytes; left > 0; left -= int64(len(block)) {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		h.Write(block[:min(left, int64(len(block)))])
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
