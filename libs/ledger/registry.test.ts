import { describe, expect, test } from 'vitest';
import type { DataOf, RegistryEvent } from './events.ts';
import { readRegistryEvent, SCHEMA_VERSION } from './read.ts';
import { Refusal, type RefusalCode } from './refusal.ts';
import {
  type Claim,
  decideRegistry,
  emptyRegistry,
  evolveRegistry,
  type Registry,
  type RegistryCommand,
} from './registry.ts';
import { registration, VDA } from './story/events.ts';

const claim = (vmId: string, more: Partial<Claim> = {}): Claim => ({
  name: vmId,
  monitor: `/run/${vmId}.qmp`,
  files: [`/images/${vmId}.qcow2`],
  registration: registration({ vmId, name: vmId }),
  ...more,
});
const claimVm = (vmId: string, more: Partial<Claim> = {}): RegistryCommand => ({
  type: 'ClaimVm',
  vmId,
  claim: claim(vmId, more),
});
const releaseClaim = (vmId: string): RegistryCommand => ({ type: 'ReleaseClaim', vmId });
const claimed = (vmId: string, more: Partial<Claim> = {}): RegistryEvent => {
  const { files, below, ...rest } = claim(vmId, more);
  return {
    type: 'VmClaimed',
    data: { vmId, files: [...files], ...rest, ...(below && { below: [...below] }) },
  };
};
const claimReleased = (vmId: string): RegistryEvent => ({ type: 'ClaimReleased', data: { vmId } });

const given = (...history: RegistryEvent[]) => {
  const registry = history.reduce(evolveRegistry, emptyRegistry());
  return { registry, when: (command: RegistryCommand) => outcome(command, registry) };
};
const outcome = (command: RegistryCommand, registry: Registry) => ({
  records(...expected: RegistryEvent[]): void {
    const before = structuredClone(registry);
    const events = decideRegistry(command, registry);
    expect(events).toEqual(expected);
    expect(registry).toEqual(before);
    for (const { type, data } of events) {
      expect(readRegistryEvent(type, SCHEMA_VERSION, JSON.parse(JSON.stringify(data)))).toEqual({
        type,
        data,
      });
    }
  },
  refuses(code: RefusalCode): void {
    expect(() => decideRegistry(command, registry)).toThrow(expect.objectContaining({ code }) as Refusal);
  },
});

describe('a claim', () => {
  test('holds the name, the monitor and the images of a VM', () => {
    given().when(claimVm('a')).records(claimed('a'));
    expect(given(claimed('a')).registry.claims.get('a')).toEqual(claim('a'));
  });

  test('of a name, a monitor or an image that another VM holds is refused', () => {
    given(claimed('a'))
      .when(claimVm('b', { name: 'a' }))
      .refuses('name-taken');
    given(claimed('a'))
      .when(claimVm('b', { monitor: '/run/a.qmp' }))
      .refuses('monitor-taken');
    given(claimed('a'))
      .when(claimVm('b', { files: ['/images/b.qcow2', '/images/a.qcow2'] }))
      .refuses('image-taken');
  });

  test('is for ever by id: neither a VM nor a forgotten one gives its id away', () => {
    given(claimed('a'))
      .when(claimVm('a', { name: 'other' }))
      .refuses('id-used');
    given(claimed('a'), claimReleased('a')).when(claimVm('a')).refuses('id-used');
  });

  test('is refused for whatever the registration would be: it would stand for ever with no VM behind it', () => {
    const claimFor = (more: Partial<DataOf<'VmRegistered'>>) =>
      given().when(claimVm('a', { registration: registration({ vmId: 'a', ...more }) }));
    claimFor({ labels: { '': 'v' } }).refuses('invalid-body');
    claimFor({ disks: [VDA, VDA] }).refuses('disk-unsupported');
    claimFor({ name: '' }).refuses('invalid-name');
    given(claimed('a'))
      .when(claimVm('a', { registration: null, name: '' }))
      .refuses('invalid-name');
  });

  test('carries what is needed to finish a registration that died half-way', () => {
    expect(given(claimed('a')).registry.claims.get('a')?.registration).toEqual(
      registration({ vmId: 'a', name: 'a' }),
    );
  });
});

describe('a registered VM that claims anew', () => {
  const anew = { registration: null };
  test('gives up its old name and holds the new one', () => {
    const moved = given(claimed('a'), claimed('a', { ...anew, name: 'x' }));
    moved.when(claimVm('b', { name: 'x' })).refuses('name-taken');
    moved.when(claimVm('b', { name: 'a' })).records(claimed('b', { name: 'a' }));
  });

  test('with what it holds already changes nothing', () => {
    given(claimed('a')).when(claimVm('a', anew)).records();
    given(claimed('a', { files: ['/1', '/2'] }))
      .when(claimVm('a', { ...anew, files: ['/2', '/1'] }))
      .records();
  });

  test('for other images changes something, also when one of them is named twice', () => {
    given(claimed('a', { files: ['/1', '/2'] }))
      .when(claimVm('a', { ...anew, files: ['/1', '/1'] }))
      .records(claimed('a', { ...anew, files: ['/1', '/1'] }));
  });

  test('may not take what another VM holds', () => {
    given(claimed('a'), claimed('b'))
      .when(claimVm('b', { ...anew, name: 'a' }))
      .refuses('name-taken');
  });

  test('must be one that is there', () => {
    given().when(claimVm('a', anew)).refuses('vm-unknown');
  });
});

describe('a release', () => {
  test('frees name, monitor and images for others', () => {
    given(claimed('a')).when(releaseClaim('a')).records(claimReleased('a'));
    given(claimed('a'), claimReleased('a'))
      .when(claimVm('b', { name: 'a', monitor: '/run/a.qmp', files: ['/images/a.qcow2'] }))
      .records(claimed('b', { name: 'a', monitor: '/run/a.qmp', files: ['/images/a.qcow2'] }));
  });

  test('of what is not claimed is nothing', () => {
    given().when(releaseClaim('a')).records();
    given(claimed('a'), claimReleased('a')).when(releaseClaim('a')).records();
  });
});
