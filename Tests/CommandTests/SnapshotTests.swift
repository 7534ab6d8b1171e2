import Foundation
import TestSupport
import Testing

/// Snapshots of the catalog that a mount makes.
@Suite(.serialized)
struct SnapshotTests {
    @Test func `a copy of the catalog is kept each day, and seven of them`() throws {
        try withPlace { path in
            try verifyScript(
                """
                make_library; umount_one; fails test -e lib/snapshots; mkdir -p lib/snapshots; for n in 1 2 3 4 5 6 7 8 9; do echo x > lib/snapshots/catalog-2020010$n.sqlite; done
                touch -d '3 days ago' lib/FORMAT lib/snapshots/*; mount_one; today() { ls lib/snapshots | grep -v catalog-2020 | grep -v new; }
                for n in $(seq 1200); do [ -n "$(today)" ] && break; sleep 0.1; done; is "$(today | wc -l)" 1; for n in $(seq 1200); do [ "$(ls lib/snapshots | wc -l)" = 7 ] && break; sleep 0.1; done
                is "$(ls lib/snapshots | wc -l)" 7; test -e lib/snapshots/catalog-20200104.sqlite; fails test -e lib/snapshots/catalog-20200103.sqlite; umount_one
                is "$(stat -c '%a' lib/snapshots lib/snapshots/$(today) | tr '\\n' ' ')" '700 600 '
                is "$(sqlite3 "file:lib/snapshots/$(today)?mode=ro&immutable=1" 'PRAGMA integrity_check')" ok
                stat -c '%Y %i' lib/snapshots/$(today) > before; mount_one; umount_one; stat -c '%Y %i' lib/snapshots/$(today) > after; cmp before after
                """,
                in: path
            )
        }
    }

    @Test func `files of times that are still to come prevent no mount, and no copy`() throws {
        try withPlace { path in
            try verifyScript(
                """
                make_library; umount_one; mkdir -p lib/snapshots; echo x > lib/snapshots/catalog-20200101.sqlite
                touch -d 2300-01-01 lib/FORMAT lib/snapshots/*; is "$(stat -c %y lib/FORMAT | cut -c1-4)" 2300; mount_one; same
                today() { ls lib/snapshots | grep -v catalog-2020 | grep -v new; }; for n in $(seq 1200); do [ -n "$(today)" ] && break; sleep 0.1; done
                is "$(today | wc -l)" 1; umount_one
                """,
                in: path
            )
        }
    }

    @Test func `a full disk has no snapshot, a sentence in the log, and nothing else`() throws {
        try withPlace { path in
            try verifyScript(
                """
                mkdir disk; mount -t tmpfs -o size=48M tmpfs disk; trap 'umount -l one 2> /dev/null || true; umount -l disk' EXIT; ln -s disk/lib lib
                mkdir disk/lib; make_library; umount_one; touch -d '3 days ago' lib/FORMAT; 
                fallocate -l $(($(stat -f -c '%a * %S' disk) - 48 * 65536 - $(stat -c %s lib/catalog.sqlite) * 2 / 3)) disk/filler; mount_one
                for n in $(seq 600); do grep -q 'no copy of the catalog' lib/assetfs.log && break; sleep 0.1; done; grep -q 'warning: There is no copy of the catalog of today' lib/assetfs.log
                is "$(grep -c 'no copy of the catalog' lib/assetfs.log)" 1; same; echo small > one/folders/small; is "$(cat one/folders/small)" small; umount_one; is "$(ls lib/snapshots)" ''
                """,
                in: path
            )
        }
    }
}
