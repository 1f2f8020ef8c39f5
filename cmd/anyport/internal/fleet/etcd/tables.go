package etcd

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"anyport/cmd/anyport/internal/fleet"
)

const (
	partsPrefix  = "parts/"
	tablesPrefix = "tables/"
)

// maxTable is the largest table that is read, in bytes, as for a file.
const maxTable = 256 << 20

// PutTable writes the parts that are not there yet, and then the manifest: who finds that finds all parts.
func (s *Store) PutTable(ctx context.Context, text []byte, by string) (fleet.Hash, error) {
	m := fleet.Manifest{Table: fleet.HashOf(text), Size: len(text), Created: time.Now().UTC().Truncate(time.Second), By: by}
	if len(text) > maxTable {
		return "", fmt.Errorf("the table has %d bytes, and at most %d are taken", len(text), maxTable)
	}
	put, err := s.putParts(ctx, text, &m)
	if err == nil {
		err = s.putManifest(ctx, m, &put)
	}
	if errors.Is(err, fleet.ErrFull) {
		for _, key := range slices.Backward(put) { // the manifest first; else nobody would: they belong to no table
			_ = s.remove(ctx, key)
		}
	}
	if err != nil {
		return "", err
	}
	return m.Table, nil
}

// putParts writes the parts of a text, names them in the manifest, and returns the keys that it has put.
func (s *Store) putParts(ctx context.Context, text []byte, m *fleet.Manifest) (put []string, err error) {
	for _, part := range fleet.Split(text, fleet.PartSize) {
		hash := fleet.HashOf(part)
		if err := s.putOnce(ctx, partsPrefix+string(hash), string(part), &put); err != nil {
			return put, err
		}
		m.Parts = append(m.Parts, hash)
	}
	return put, nil
}

func (s *Store) putManifest(ctx context.Context, m fleet.Manifest, put *[]string) error {
	manifest, err := encode(m)
	if err == nil {
		err = s.putOnce(ctx, tablesPrefix+string(m.Table), manifest, put)
	}
	return err
}

// putOnce writes a key that never changes, and appends it to put, without sending a value that is there.
// A key whose put fails is appended, too: the put that uses up the quota is applied before it is refused.
func (s *Store) putOnce(ctx context.Context, key, value string, put *[]string) error {
	ctx, cancel := call(ctx)
	defer cancel()
	there, err := s.client.Get(ctx, s.prefix+key, clientv3.WithCountOnly())
	if err != nil || there.Count > 0 {
		return s.explain(err)
	}
	*put = append(*put, key)
	_, err = s.client.Put(ctx, s.prefix+key, value)
	return s.explain(err)
}

// Table reads the manifest and then one part after the other.
func (s *Store) Table(ctx context.Context, table fleet.Hash) ([]byte, error) {
	manifest, err := s.value(ctx, s.prefix+tablesPrefix+string(table))
	if err != nil {
		return nil, err
	}
	var m fleet.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		return nil, fmt.Errorf("the manifest of table %s cannot be read: %w", table.Short(), err)
	}
	if m.Size < 0 || m.Size > maxTable {
		return nil, fmt.Errorf("table %s has %d bytes, and at most %d are taken", table.Short(), m.Size, maxTable)
	}
	var text bytes.Buffer
	for _, hash := range m.Parts {
		part, err := s.value(ctx, s.prefix+partsPrefix+string(hash))
		if err != nil {
			return nil, err
		}
		if text.Write(part); text.Len() > m.Size {
			break
		}
	}
	if text.Len() != m.Size || fleet.HashOf(text.Bytes()) != table {
		return nil, fmt.Errorf("table %s is damaged in the store: its text has another hash; push it again under another name, such as with one more comment", table.Short())
	}
	return text.Bytes(), nil
}

// value reads a key that has to be there.
func (s *Store) value(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := call(ctx)
	defer cancel()
	r, err := s.client.Get(ctx, key)
	if err != nil {
		return nil, s.explain(err)
	}
	if len(r.Kvs) == 0 {
		return nil, fleet.ErrNoTable
	}
	return r.Kvs[0].Value, nil
}

// Tables lists the manifests, the newest first.
func (s *Store) Tables(ctx context.Context) ([]fleet.Manifest, error) {
	r, err := s.list(ctx, tablesPrefix)
	if err != nil {
		return nil, err
	}
	var all []fleet.Manifest
	for _, kv := range r.Kvs {
		m := fleet.Manifest{Table: fleet.Hash(strings.TrimPrefix(string(kv.Key), s.prefix+tablesPrefix))}
		if err := json.Unmarshal(kv.Value, &m); err != nil || !m.Table.Valid() {
			continue // no table of ours
		}
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(a, b fleet.Manifest) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.Table, b.Table))
	})
	return all, nil
}

// DeleteTables removes the manifests first: a table without its manifest is not there.
func (s *Store) DeleteTables(ctx context.Context, tables ...fleet.Hash) error {
	all, err := s.Tables(ctx)
	if err != nil {
		return err
	}
	kept, unused := map[fleet.Hash]bool{}, map[fleet.Hash]bool{}
	for _, m := range all {
		for _, part := range m.Parts {
			if slices.Contains(tables, m.Table) {
				unused[part] = true
			} else {
				kept[part] = true
			}
		}
	}
	for _, table := range tables {
		if err := s.remove(ctx, tablesPrefix+string(table)); err != nil {
			return err
		}
	}
	for part := range unused {
		if !kept[part] {
			if err := s.remove(ctx, partsPrefix+string(part)); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove deletes one key below the prefix.
func (s *Store) remove(ctx context.Context, key string) error {
	ctx, cancel := call(ctx)
	defer cancel()
	_, err := s.client.Delete(ctx, s.prefix+key)
	return s.explain(err)
}
