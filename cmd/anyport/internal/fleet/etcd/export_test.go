package etcd

import clientv3 "go.etcd.io/etcd/client/v3"

// Wrap puts a KV of a test between the store and its server.
func (s *Store) Wrap(wrap func(clientv3.KV) clientv3.KV) { s.client.KV = wrap(s.client.KV) }
