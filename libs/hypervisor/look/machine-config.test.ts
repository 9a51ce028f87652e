import { expect, test } from 'vitest';
import { Refusal, type MachineFacts } from '#ledger';
import type { Monitor } from '#qmp';
import { configOf, DEVICES_NAMED_MAX, machineConfig, requireSameConfig } from './machine-config.ts';

const FACTS: MachineFacts = {
  machine: 'pc-q35-7.2',
  ramBytes: 64 * 1024 * 1024,
  cpus: 1,
  cpuModel: 'qemu64-x86_64-cpu',
  qemu: '7.2',
  devices: ['(virtio-rng-pci)', 'dev-da (virtio-blk-pci)'],
};

function difference(change: Partial<MachineFacts>): string {
  try {
    requireSameConfig(configOf(FACTS), configOf({ ...FACTS, ...change }));
    return 'none';
  } catch (error) {
    if (error instanceof Refusal && error.code === 'config-mismatch') return error.message;
    throw error;
  }
}

test('the same machine is the same, in a newer QEMU as well', () => {
  expect(difference({})).toBe('none');
  expect(difference({ qemu: '8.2' })).toBe('none');
});

test.each<[string, Partial<MachineFacts>]>([
  ['the machine type was pc-q35-7.2, is pc-i440fx-7.2', { machine: 'pc-i440fx-7.2' }],
  ['the memory was 64 MiB, is 128 MiB', { ramBytes: 128 * 1024 * 1024 }],
  ['the number of CPUs was 1, is 2', { cpus: 2 }],
  ['the CPU model was qemu64-x86_64-cpu, is host-x86_64-cpu', { cpuModel: 'host-x86_64-cpu' }],
  [
    'the device (virtio-rng-pci) was not there, and is',
    { devices: ['(virtio-rng-pci)', '(virtio-rng-pci)', 'dev-da (virtio-blk-pci)'] },
  ],
  ['the device dev-da (virtio-blk-pci) was there, and is not', { devices: ['(virtio-rng-pci)'] }],
])('a machine into which the memory does not fit is told by what was and what is: %s', (words, change) => {
  expect(difference(change)).toBe(`the memory was saved from another machine configuration: ${words}`);
});

test('many differences are told in part', () => {
  const devices = Array.from({ length: 9 }, (_, n) => `n${n} (e1000)`);
  expect(difference({ devices })).toMatch(/; and 6 more$/);
});

test('more devices than the log keeps are still compared', () => {
  const many = Array.from({ length: DEVICES_NAMED_MAX }, (_, n) => `a${n} (e1000)`);
  const some = configOf({ ...FACTS, devices: [...many, 'z1 (e1000)'] });
  const others = configOf({ ...FACTS, devices: [...many, 'z2 (e1000)'] });
  expect(some.facts.devices).toHaveLength(DEVICES_NAMED_MAX);
  expect(() => requireSameConfig(some, others)).toThrow(/some are others/);
});

test('of a snapshot from before, and of a machine that does not tell, nothing is known', () => {
  expect(() => requireSameConfig(undefined, configOf(FACTS))).not.toThrow();
  expect(() => requireSameConfig(configOf(FACTS), null)).not.toThrow();
});

/** A machine with these devices, and what was asked of its QEMU. */
function machine(devices: readonly string[], { cpu = '/machine/unattached/device[0]' } = {}) {
  const asked: string[] = [];
  const answers: Readonly<Record<string, (path: unknown) => unknown>> = {
    'qom-get': (path) => (path === '/machine' ? 'pc-q35-7.2-machine' : `type of ${String(path)}`),
    'query-memory-size-summary': () => ({ 'base-memory': 1024, 'plugged-memory': 0 }),
    'query-cpus-fast': () => [{ 'cpu-index': 0, 'qom-path': cpu }],
    'qom-list': (path) =>
      path === '/machine/peripheral-anon'
        ? []
        : devices.map((device) => ({ name: device, type: `child<${device}-type>` })),
  };
  const execute: Monitor['execute'] = async (command, { path } = {}) => {
    asked.push(command);
    return answers[command]?.(path);
  };
  const version = { major: 7, minor: 2, micro: 22 };
  return { monitor: { execute, version } as unknown as Monitor, asked };
}

test('of a QEMU that has told already only the devices are asked for, as long as they are the same', async () => {
  const first = machine(['a', 'b']);
  const config = await machineConfig(first.monitor);
  expect(config?.facts).toMatchObject({ cpuModel: 'type of /machine/unattached/device[0]', ramBytes: 1024 });
  expect(first.asked).toHaveLength(6);

  const same = machine(['b', 'a']);
  expect(await machineConfig(same.monitor, config)).toEqual(config);
  expect(same.asked).toEqual(['qom-list', 'qom-list']);

  const grown = machine(['a', 'b', 'c']);
  expect((await machineConfig(grown.monitor, config))?.facts.devices).toHaveLength(3);
  expect(grown.asked).toHaveLength(8);
});

test.each(['dimm0', 'vmem-virtio-mem', 'qemu64-x86_64-cpu'])(
  'a machine with the device %s is asked for everything: it may be another of the same name',
  async (device) => {
    const config = await machineConfig(machine([device]).monitor);
    const { monitor, asked } = machine([device]);
    expect(await machineConfig(monitor, config)).toEqual(config);
    expect(asked).toHaveLength(6);
  },
);

test('a first CPU that is kept elsewhere is asked for there', async () => {
  const config = await machineConfig(machine([], { cpu: '/machine/cpu' }).monitor);
  expect(config?.facts.cpuModel).toBe('type of /machine/cpu');
});
