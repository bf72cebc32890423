package controllers

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// fewShards that stay as they are are written all the same; of more it is read whether they
// are still ours.
const fewShards = 3

// claim writes this process into all objects of an inventory: into the first one,
// which only one of two processes gets, and then into the others, of which there
// are hundreds in a large inventory, several at a time.
func (s *inventoryStore) claim(ctx context.Context, objects []v1alpha1.BrokerInventory) error {
	var group errgroup.Group
	group.SetLimit(writtenAtATime)
	for i := range objects {
		object := &objects[i]
		object.Holder = s.holder
		dropIfRestored(object)
		if i == 0 {
			if err := s.update(ctx, object); err != nil {
				return err
			}
			continue
		}
		group.Go(func() error { return s.update(ctx, object) })
	}
	return group.Wait()
}

// dropIfRestored empties an inventory that somebody restored from a backup: what
// it names may belong to others by now, or to resources of before.
func dropIfRestored(object *v1alpha1.BrokerInventory) {
	if uid := string(object.UID); object.OwnUID != uid {
		object.Entries, object.Departures, object.DeletionWindow, object.OwnUID = nil, nil, nil, uid
	}
}

// confirm sees to it that shards which stay as they are are still as this process knows them:
// a write that changes nothing proves no more than that, and takes the API server as much as any
// other. Those that seem to be otherwise are written: it may be that somebody else does so
// beside us in this process.
func (s *inventoryStore) confirm(ctx context.Context, touched map[*inventoryShard]int, same map[*inventoryShard]bool) error {
	for sh := range touched {
		delete(same, sh)
	}
	stored := map[string]string{} // resource versions, by name
	if len(same) > fewShards {
		var list metav1.PartialObjectMetadataList
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("BrokerInventoryList"))
		if err := s.reader.List(ctx, &list, client.InNamespace(s.namespace), client.MatchingLabels{labelCluster: clusterLabel(s.clusterID)}); err != nil {
			return fmt.Errorf("look at the inventory of cluster %s: %w", s.clusterID, err)
		}
		for _, object := range list.Items {
			stored[object.Name] = object.ResourceVersion
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for sh := range same {
		if version := sh.object.ResourceVersion; version == "" || stored[sh.object.Name] != version {
			sh.changes++
			touched[sh] = sh.changes
		}
	}
	return nil
}
