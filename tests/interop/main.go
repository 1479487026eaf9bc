// Another implementation of notes, checkpoints, cosignatures and tiles, asked over standard input:
// {"checkpoint", "origin", "log", "witness", "tiles": {path: base64}, "entries": [base64]} is verified by
// golang.org/x/mod and github.com/transparency-dev/formats; the answer is a checkpoint and a cosignature of their own.
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type request struct {
	Checkpoint []byte            `json:"checkpoint"`
	Origin     string            `json:"origin"`
	Log        string            `json:"log"`
	Witness    string            `json:"witness"`
	Tiles      map[string][]byte `json:"tiles"`
	Entries    [][]byte          `json:"entries"`
	Old        int64             `json:"old"`
	OldRoot    []byte            `json:"old_root"`
	Proof      [][]byte          `json:"proof"`
}

type answer struct {
	Size        uint64 `json:"size"`
	Signatures  int    `json:"signatures"`
	Vkey        string `json:"vkey"`
	WitnessVkey string `json:"witness_vkey"`
	Note        []byte `json:"note"`
}

type reader struct{ tiles map[string][]byte }

func (r reader) Height() int                     { return 8 }
func (r reader) SaveTiles([]tlog.Tile, [][]byte) {}
func (r reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(tiles))
	for i, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, ok := r.tiles[path]
		if !ok {
			return nil, fmt.Errorf("no tile %s", path)
		}
		found[i] = data
	}
	return found, nil
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	var asked request
	check(json.NewDecoder(os.Stdin).Decode(&asked))
	logKey, err := note.NewVerifier(asked.Log)
	check(err)
	witnessKey, err := fnote.NewVerifierForCosignatureV1(asked.Witness)
	check(err)
	checkpoint, rest, signed, err := log.ParseCheckpoint(asked.Checkpoint, asked.Origin, logKey, witnessKey)
	check(err)
	if len(rest) != 0 || len(signed.UnverifiedSigs) != 0 {
		check(fmt.Errorf("extension lines %q or unverified signatures", rest))
	}
	tree := tlog.Tree{N: int64(checkpoint.Size), Hash: tlog.Hash(checkpoint.Hash)}
	hashes := tlog.TileHashReader(tree, reader{asked.Tiles})
	for i, entry := range asked.Entries {
		proof, err := tlog.ProveRecord(tree.N, int64(i), hashes)
		check(err)
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, int64(i), tlog.RecordHash(entry)))
	}
	var proof tlog.TreeProof
	for _, item := range asked.Proof {
		proof = append(proof, tlog.Hash(item))
	}
	check(tlog.CheckTree(proof, tree.N, tree.Hash, asked.Old, tlog.Hash(asked.OldRoot)))

	secret, vkey, err := note.GenerateKey(rand.Reader, "go.example/log")
	check(err)
	signer, err := note.NewSigner(secret)
	check(err)
	witnessSecret, witnessVkey, err := note.GenerateKey(rand.Reader, "go.example/witness")
	check(err)
	cosigner, err := fnote.NewSignerForCosignatureV1(witnessSecret)
	check(err)
	witnessVkey, err = fnote.VKeyToCosignatureV1(witnessVkey)
	check(err)
	text := log.Checkpoint{Origin: "go.example/log", Size: checkpoint.Size, Hash: checkpoint.Hash}.Marshal()
	made, err := note.Sign(&note.Note{Text: string(text)}, signer, cosigner)
	check(err)
	if bytes.Equal(made, asked.Checkpoint) {
		check(fmt.Errorf("two logs cannot sign the same bytes"))
	}
	check(json.NewEncoder(os.Stdout).Encode(answer{checkpoint.Size, len(signed.Sigs), vkey, witnessVkey, made}))
}
