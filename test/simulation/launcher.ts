import type { Finished } from '#world';
import { pause } from './qemu/work.ts';
import type { Program, SimulatedHost } from './simulated-host.ts';
import { LAUNCHER } from './simulated-ledgerd.ts';
import type { SimulatedVm, Tops } from './simulated-vm.ts';

/** What a start or an end takes (reference: latencies). */
const LAUNCH_MS = 40;

/** The operator's own two commands that start and end machines, as programs of the host. */
export function addLauncher(host: SimulatedHost, vms: readonly SimulatedVm[]): void {
  const command = (act: (vm: SimulatedVm, env: Readonly<Record<string, string>>) => Finished): Program =>
    function* (env) {
      yield* pause(host.chance, LAUNCH_MS, 'launches');
      if (host.faults.happens('launch-failed')) return { code: 1, stdout: '', stderr: 'not today\n' };
      const vm = vms.find(({ name }) => name === env['SNAPLEDGER_VM_NAME']);
      return vm ? act(vm, env) : { code: 2, stdout: '', stderr: 'there is no such machine\n' };
    };
  host.programs.set(
    LAUNCHER.start[0],
    command((vm, env) => {
      const disks = JSON.parse(env['SNAPLEDGER_VM_DISKS'] ?? '[]') as { device: string; file: string }[];
      const tops: Tops = new Map(disks.map(({ device, file }) => [device, file]));
      const incoming = (env['SNAPLEDGER_VM_INCOMING'] ?? '').replace(/^unix:/, '');
      return vm.launch(tops, incoming === '' ? null : incoming);
    }),
  );
  host.programs.set(
    LAUNCHER.stop[0],
    command((vm) => vm.halt()),
  );
}
