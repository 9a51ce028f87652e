/* Test-only. Fault points that somebody does not pass, and why. Everybody passes all others, which tests check. */

/** Touches that no simulated world makes. */
export const NOT_SIMULATED: Readonly<Record<string, string>> = {
  'files.makeDirectory': 'ledgerd makes its directories when it starts; a simulated file needs none',
  'run.qemu-img-create': 'the new images of simulated worlds are qcow2, and those are written without it',
};

/** Touches so seldom made that the simulated worlds of the short test need not have them: the long form does. */
export const SELDOM_SIMULATED: Readonly<Record<string, string>> = {
  'run.qemu-img-compare':
    'when whoever dies has left an image of which nobody can tell whether it was copied',
  'say.block-stream': 'when a snapshot is removed below which others stand, on a machine that is on',
  'say.guest-fsfreeze-freeze': 'one world in 30 has a guest agent and a caller who wants it asked',
  'say.job-cancel': 'when somebody loses patience with a copy',
  'say.migrate_cancel': 'when a stream of memory is called off half-way',
};

/** Touches that no request of the kill harness makes. */
export const NOT_KILLED_AT: Readonly<Record<string, string>> = {
  connect: 'the connection is kept from when the machine was registered, before the bomb is armed',
  'files.makePrivateDirectory': 'no request of the kill harness streams memory',
  'files.rename': 'no request of the kill harness asks for a copy of a disk',
  'files.syncFile': 'no request of the kill harness asks for a copy of a disk',
  'hypervisor.copy': 'no request of the kill harness asks for a copy of a disk',
  'hypervisor.dismiss': 'no request of the kill harness asks for a copy of a disk',
  'hypervisor.freeze': 'the machines of the kill harness have no guest agent',
  'hypervisor.launch': 'the kill harness has no launcher',
  'hypervisor.repair': 'it is passed when something fails, after a death and not before',
  'hypervisor.thaw': 'the machines of the kill harness have no guest agent',
  'hypervisor.undo': 'it is passed when something fails, after a death and not before',
  lock: 'it is taken when a machine is registered, before the bomb is armed, and kept',
  'run.LAUNCHER': 'the kill harness has no launcher',
  'run.cp': 'the machines of the kill harness are on',
  'run.qemu-img-commit': 'the machines of the kill harness are on',
  'run.qemu-img-compare': 'the machines of the kill harness are on',
  'run.qemu-img-convert': 'the machines of the kill harness are on',
  'run.qemu-img-create': 'the new images of the kill harness are qcow2, and those are written without it',
  'run.qemu-img-map': 'the machines of the kill harness are on',
  'run.qemu-img-rebase': 'the machines of the kill harness are on',
  'run.sync': 'the machines of the kill harness are on',
  'say.block-stream': 'in the kill harness no snapshot has others beside it below which it could be removed',
  'say.guest-fsfreeze-freeze': 'the machines of the kill harness have no guest agent',
  'say.guest-fsfreeze-status': 'the machines of the kill harness have no guest agent',
  'say.guest-fsfreeze-thaw': 'the machines of the kill harness have no guest agent',
  'say.guest-sync-delimited': 'the machines of the kill harness have no guest agent',
  'say.job-cancel': 'no request of the kill harness asks for a copy of a disk',
  'say.job-finalize': 'in the kill harness no snapshot has others beside it below which it could be removed',
  'say.migrate': 'no request of the kill harness streams memory',
  'say.migrate-set-parameters': 'no request of the kill harness streams memory',
  'say.migrate_cancel': 'no request of the kill harness streams memory',
  'say.qmp_capabilities': 'a monitor negotiates when it is connected',
  'say.query-migrate-parameters': 'no request of the kill harness streams memory',
  'states.get': 'states are read before the bomb is armed, and kept at every so many events',
  'states.put': 'states are read before the bomb is armed, and kept at every so many events',
  'store.read': 'a request that succeeds reads nothing of the log but what it has just recorded',
  'streams.measure': 'no request of the kill harness streams memory',
  'streams.receive': 'no request of the kill harness streams memory',
  'streams.send': 'no request of the kill harness streams memory',
};
