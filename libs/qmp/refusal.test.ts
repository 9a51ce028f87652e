import { expect, test } from 'vitest';
import { classifyRefusal } from './refusal.ts';

// Each line was seen on QEMU 7.2.22, or written by its qemu-img.
test.each([
  ["Snapshot with name 's1' already exists on device 'da'", 'name-conflict'],
  ["Snapshot 't1' already exists in one or more devices", 'name-conflict'],
  ['Name is empty', 'bad-request'],
  ["Invalid job ID '1abc'", 'bad-request'],
  ["Invalid node-name: '1a'", 'bad-request'],
  ['Node name too long', 'bad-request'],
  ["Block format 'raw' used by device 'dc' does not support internal snapshots", 'unsupported'],
  ["Device 'dc' is writable but does not support snapshots", 'unsupported'],
  ["qemu-img: Could not create snapshot 'y': -95 (Operation not supported)", 'unsupported'],
  ["Device 'dro' is read only", 'read-only'],
  ['Block node is read-only', 'read-only'],
  ['Failed to remove snapshot from snapshot list: Operation not permitted', 'read-only'],
  ["Cannot find device='nope' nor node-name='nope'", 'node-gone'],
  ["No block device node 'nope'", 'node-gone'],
  ["Failed to find node with node-name='nope'", 'node-gone'],
  ['Need a root block node', 'busy'],
  ["Node 'da' is busy: node is used as backing hd of 'da1'", 'busy'],
  ['The overlay is already in use', 'busy'],
  ['Failed to get "write" lock', 'locked'],
  ['Failed to get shared "write" lock\nIs another process using the image [a.qcow2]?', 'locked'],
  ["Snapshot with id 'null' and name 's1' does not exist on device 'da'", 'not-found'],
  ["qemu-img: Could not delete snapshot 'nosuch': snapshot not found", 'not-found'],
  ["Could not apply snapshot 'nosuch': Failed to load snapshot: No such file or directory", 'not-found'],
  ['Job not found', 'not-found'],
  ["Snapshot 'zz' does not exist in one or more devices", 'not-found-or-partial'],
  ['This is a disk-only snapshot. Revert to it  offline using qemu-img', 'no-vm-state'],
  ["Could not load snapshot 'P' on 'db': Device has active dirty bitmaps", 'bitmap-blocks'],
  ['Error -22 while loading VM state', 'config-mismatch'],
  ['load of migration failed: Input/output error', 'config-mismatch'],
  ["Failed to create snapshot 's1' on device 'db': No space left on device", 'no-space'],
  ['Error while writing VM state: Input/output error', 'no-space'],
  ["Could not create snapshot 'x': -27 (File too large)", 'no-space'],
  ["Could not load snapshot 'x' on 'db': Failed to load snapshot: Input/output error", 'io-error'],
  ["State blocked by non-migratable device '0000:00:03.0/nvme'", 'bad-run-state'],
  ["There's a migration process in progress", 'bad-run-state'],
  ["Can't migrate the vm that was paused due to previous migration", 'bad-run-state'],
  ['Transaction aborted using Abort action', 'dry-run-ok'],
  ["Parameter 'type' does not accept value 'foo'", 'protocol'],
  ["Parameter 'actions[0].data.id' is unexpected", 'protocol'],
  ["Parameter 'job-id' is missing", 'protocol'],
  ["Invalid parameter type for 'id', expected: string", 'protocol'],
  ["QMP input member 'foo' is unexpected", 'protocol'],
  ["JSON parse error, invalid keyword 'bad'", 'protocol'],
  ['Resetting the Virtual Machine is required', 'guest-off'],
  ["Could not create snapshot 'T' on 'db'", 'unknown'],
  ['', 'unknown'],
])('%j is %s', (description, category) => {
  expect(classifyRefusal(description)).toBe(category);
});

test.each([
  ["Device 'nope' not found", 'DeviceNotFound', 'node-gone'],
  ['The command query-nothing has not been found', 'CommandNotFound', 'protocol'],
  ["Device 'nope' not found", 'GenericError', 'unknown'],
])('%j of class %s is %s', (description, errorClass, category) => {
  expect(classifyRefusal(description, errorClass)).toBe(category);
});
