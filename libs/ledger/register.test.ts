import { describe, expect, test } from 'vitest';
import { change, create, forget, load, release, reportCreated } from './story/commands.ts';
import {
  createFailed,
  disk,
  fact,
  held,
  leftover,
  RAW,
  registered,
  registration,
  requested,
  taken,
  VDA,
  VDB,
} from './story/events.ts';
import { given, givenNothing } from './story/given.ts';
import type { Command } from './commands.ts';
import type { DataOf } from './events.ts';

const register = (more: Partial<DataOf<'VmRegistered'>> = {}): Command => ({
  type: 'RegisterVm',
  registration: registration(more),
});
const changed = (data: DataOf<'VmChanged'>) => fact('VmChanged', data);

describe('a registration', () => {
  test('is recorded as it was found', () => {
    givenNothing().when(register()).records(registered());
  });

  test('on disks without foreign tags knows the present, otherwise assumes it', () => {
    expect(given().vm.current).toEqual({ id: null, confidence: 'known' });
    expect(given(registered({ foreignTags: [{ device: 'vda', tag: 'old' }] })).vm.current).toEqual({
      id: null,
      confidence: 'assumed',
    });
  });

  test('of an id that was given before is refused, even after that VM was forgotten', () => {
    given()
      .when(register({ name: 'other' }))
      .refuses('id-used');
    given(fact('VmForgotten', {})).when(register()).refuses('id-used');
  });

  test('asks of a name and labels what a snapshot asks', () => {
    givenNothing()
      .when(register({ name: '3fab28c9-a6bd-4659-b9bc-683780d8a2d5' }))
      .refuses('invalid-name');
    givenNothing()
      .when(register({ name: '' }))
      .refuses('invalid-name');
    givenNothing()
      .when(register({ labels: { '': 'v' } }))
      .refuses('invalid-body');
  });

  test('of two disks under one name is refused: nobody could say which is meant', () => {
    givenNothing()
      .when(register({ disks: [VDA, { ...VDB, device: 'vda' }] }))
      .refuses('disk-unsupported');
  });

  test('with a default that a disk cannot have is refused', () => {
    givenNothing()
      .when(register({ disks: [VDA, { ...RAW, default: 'internal' }] }))
      .refuses('disk-unsupported');
    givenNothing()
      .when(register({ disks: [VDA, RAW] }))
      .records(registered({ disks: [VDA, RAW] }));
  });
});

describe('a VM that is not there', () => {
  const commands = [create('a'), load('a'), forget, change({ name: 'x' }), release(), reportCreated('a')];
  test('accepts nothing: nobody has heard of it', () => {
    for (const command of commands) givenNothing().when(command).refuses('vm-unknown');
  });

  test('accepts nothing: it was forgotten', () => {
    for (const command of commands)
      given(taken('a'), fact('VmForgotten', {})).when(command).refuses('vm-unknown');
  });
});

describe('a change', () => {
  test('records what differs and nothing else', () => {
    given()
      .when(change({ name: 'new', host: 'host-1', labels: {}, guestAgent: null }))
      .records(changed({ name: 'new' }));
    given()
      .when(change({ name: 'web', monitor: '/run/web.qmp' }))
      .records();
    given().when(change({})).records();
  });

  test('takes the guest agent away with null', () => {
    given(registered({ guestAgent: '/run/qga' }))
      .when(change({ guestAgent: null }))
      .records(changed({ guestAgent: null }));
    given(registered({ guestAgent: '/run/qga' }), changed({ guestAgent: null }))
      .when(change({ guestAgent: null }))
      .records();
  });

  test('of name and labels needs no machine', () => {
    given(requested('a'))
      .when(change({ name: 'new', labels: { k: 'v' } }))
      .records(changed({ name: 'new', labels: { k: 'v' } }));
  });

  test('of a held VM is refused', () => {
    given(requested('a'), createFailed('a', held(leftover('a'))))
      .when(change({ name: 'x' }))
      .refuses('vm-held');
  });

  test('asks of a name and labels what a registration asks', () => {
    given()
      .when(change({ name: '' }))
      .refuses('invalid-name');
    given()
      .when(change({ labels: { '': 'v' } }))
      .refuses('invalid-body');
  });
});

describe('a new default', () => {
  test('of a disk that is not there is refused, also under a name that every object has', () => {
    given()
      .when(change({ defaults: { vdz: 'none' } }))
      .refuses('disk-unsupported');
    given()
      .when(change({ defaults: Object.fromEntries([['constructor', 'none' as const]]) }))
      .refuses('disk-unsupported');
  });

  test('that the disk cannot have is refused', () => {
    given(registered({ disks: [VDA, RAW] }))
      .when(change({ defaults: { raw: 'internal' } }))
      .refuses('disk-unsupported');
  });

  test('is recorded for the disks that it changes', () => {
    given()
      .when(change({ defaults: { vda: 'internal', vdb: 'none' } }))
      .records(changed({ defaults: { vdb: 'none' } }));
    given()
      .when(change({ defaults: { vda: 'internal' } }))
      .records();
  });

  test('holds for the next create', () => {
    given(changed({ defaults: { vdb: 'none' } }))
      .when(create('a'))
      .records(
        requested('a', null, {
          disks: [
            { device: 'vda', mode: 'internal' },
            { device: 'vdb', mode: 'none' },
          ],
        }),
      );
  });

  test('leaves alone a disk whose name every object has', () => {
    const disks = [VDA, disk('constructor'), disk('toString')];
    const story = given(registered({ disks }), changed({ defaults: { vda: 'none' } }));
    expect(story.vm.disks.map(({ default: mode }) => mode)).toEqual(['none', 'internal', 'internal']);
    given(registered({ disks }))
      .when(change({ defaults: { vda: 'internal' } }))
      .records();
  });
});

describe('forget', () => {
  test('waits for an open operation and for a hold', () => {
    given(requested('a')).when(forget).refuses('vm-busy');
    given(requested('a'), createFailed('a', held(leftover('a'))))
      .when(forget)
      .refuses('vm-held');
  });

  test('does not ask for the snapshots to go first: the images stay as they are', () => {
    given(taken('a')).when(forget).records(fact('VmForgotten', {}));
  });
});
