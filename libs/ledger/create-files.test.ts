import { describe, expect, test } from 'vitest';
import type { DiskCapture } from './shapes.ts';
import { create } from './story/commands.ts';
import { backup, loadedOutside, RAW, registered, requested, takenOutside, VDA } from './story/events.ts';
import { given, refusalOf } from './story/given.ts';

const only = (mode: 'none' | 'internal' | 'external', device = 'vda') => [{ device, mode }];

const outside = (more: Partial<DiskCapture>) =>
  create('a', { disks: [{ device: 'vda', mode: 'external', ...more }] });

describe('files under one disk are bounded:', () => {
  const three = { limits: { snapshotsMax: 200, chainMax: 3 }, disks: only('external') };
  const two = [takenOutside('a'), takenOutside('b', 'a')];

  test('the last layer that fits is made, the next refused with the advice to merge', () => {
    given(takenOutside('a'))
      .when(create('b', three))
      .records(requested('b', 'a', { disks: [...only('external'), ...only('internal', 'vdb')] }));
    const refusal = refusalOf(create('c', three), given(...two).vm);
    expect(refusal.code).toBe('too-many-snapshots');
    expect(refusal.message).toContain('disk "vda" stands on a chain of 3 files, 3 are allowed: merge some');
  });

  test('a disk that is captured inside or not at all may stand on as many as there are', () => {
    const disks = [...only('internal'), ...only('none', 'vdb')];
    given(...two)
      .when(create('c', { ...three, disks }))
      .records(requested('c', 'b', { disks }));
  });
});

describe('a file that the caller names', () => {
  test('is recorded as it was named', () => {
    const vda = {
      device: 'vda',
      mode: 'external',
      file: '/new/vda',
      format: 'qed',
      fileMode: 'existing',
    } as const;
    given()
      .when(
        create('a', { disks: [vda], memory: 'external', memoryFile: '/new/memory', memoryFormat: 'stream' }),
      )
      .records(
        requested('a', null, {
          ...{ memory: 'external', memoryFile: '/new/memory', memoryFormat: 'stream' },
          disks: [vda, ...only('internal', 'vdb')],
        }),
      );
  });

  test.each([
    'new.qcow2',
    './new.qcow2',
    '../new.qcow2',
    '/images/../new.qcow2',
    '/images/./new.qcow2',
    '/images//new.qcow2',
    '//images/new.qcow2',
    '/images/',
    '/images/..',
    '/',
    '',
    '/images/new\u0000.qcow2',
    '/images/new\n.qcow2',
    'nbd:localhost:10809',
    'json:{"driver":"file"}',
  ])('is an absolute path that says only one thing: not %j', (file) => {
    given().when(outside({ file })).refuses('path-not-allowed');
    given()
      .when(create('a', { memory: 'external', memoryFile: file }))
      .refuses('path-not-allowed');
    given()
      .when(create('a', { backups: [backup('vda', file)] }))
      .refuses('path-not-allowed');
  });

  test('stands in no chain of the VM and holds no memory: it would be written over', () => {
    const memory = { mode: 'external', file: '/images/memory' } as const;
    const story = given(
      takenOutside('a', null, null, { memory }),
      takenOutside('b', 'a'),
      loadedOutside('a', 'x'),
    );
    for (const file of ['/images/vda.qcow2', '/images/vdb-a.qcow2', '/images/vda-x.qcow2', memory.file]) {
      const disks = [{ device: 'vda', mode: 'external' as const, file }];
      story.when(create('c', { disks })).refuses('path-not-allowed');
      story.when(create('c', { backups: [backup('vda', file)] })).refuses('path-not-allowed');
      story.when(create('c', { memory: 'external', memoryFile: file })).refuses('path-not-allowed');
    }
  });

  test('is named once, whatever for', () => {
    const file = '/new/file';
    const both = ['vda', 'vdb'].map((device) => ({ device, mode: 'external' as const, file }));
    for (const wish of [
      { disks: both },
      { disks: both.slice(1), backups: [backup('vda', file)] },
      { memory: 'external' as const, memoryFile: file, backups: [backup('vda', file)] },
      { backups: [backup('vda', file), backup('vdb', file)] },
    ]) {
      given().when(create('a', wish)).refuses('invalid-combination');
    }
  });

  test('that exists already has to be named', () => {
    given()
      .when(outside({ fileMode: 'existing' }))
      .refuses('invalid-combination');
  });

  test('is for a disk that is captured outside', () => {
    for (const more of [
      { file: '/new/file' },
      { format: 'qcow2' },
      { fileMode: 'absolute-paths' },
    ] as const) {
      for (const mode of ['internal', 'none'] as const) {
        given()
          .when(create('a', { disks: [{ device: 'vda', mode, ...more }] }))
          .refuses('invalid-combination');
      }
    }
  });

  test('is of a format that can stand on another file', () => {
    for (const format of ['raw', 'vmdk', 'vdi', 'constructor', '']) {
      given().when(outside({ format })).refuses('disk-unsupported');
    }
    given()
      .when(outside({ format: 'qcow2' }))
      .records(
        requested('a', null, {
          disks: [{ device: 'vda', mode: 'external', format: 'qcow2' }, ...only('internal', 'vdb')],
        }),
      );
  });
});

test('a raw disk that is captured outside by default is captured like any other', () => {
  given(registered({ disks: [VDA, { ...RAW, default: 'external' }] }))
    .when(create('a'))
    .records(requested('a', null, { disks: [...only('internal'), ...only('external', 'raw')] }));
});

describe('backups', () => {
  test('that go on until they are canceled are refused beside memory that QEMU sends as a stream', () => {
    const backups = [{ ...backup('vda', '/new/vda'), sync: 'none' as const }];
    const stream = { memory: 'external', memoryFormat: 'stream' } as const;
    given()
      .when(create('a', { ...stream, backups }))
      .refuses('invalid-combination');
  });

  test('are recorded as they were asked for', () => {
    const backups = [backup('vda', '/new/vda'), { ...backup('vdb', '/new/vdb'), sync: 'none' as const }];
    given()
      .when(create('a', { backups }))
      .records(requested('a', null, { backups }));
    given()
      .when(create('a', { backups: [] }))
      .records(requested('a'));
  });

  test('of a disk that is not there, or of one twice, are refused', () => {
    given()
      .when(create('a', { backups: [backup('vdz', '/new/1')] }))
      .refuses('disk-unsupported');
    given()
      .when(create('a', { backups: [backup('vda', '/new/1'), backup('vda', '/new/2')] }))
      .refuses('invalid-combination');
  });

  test('of a format that makes no sense, whether the machine is on or off, are refused', () => {
    given()
      .when(create('a', { backups: [{ ...backup('vda', '/new/1'), format: 'nbd' }] }))
      .refuses('unsupported');
    given()
      .when(create('a', { backups: [{ ...backup('vda', '/new/1'), format: 'raw', sync: 'none' }] }))
      .refuses('invalid-combination');
  });

  test('are no snapshot by themselves', () => {
    const disks = [...only('none'), ...only('none', 'vdb')];
    given()
      .when(create('a', { backups: [backup('vda', '/new/1')], memory: 'none', disks }))
      .refuses('invalid-combination');
  });
});

describe('quiesce:', () => {
  const withAgent = registered({ guestAgent: '/run/agent' });
  test('"require" without an agent is refused, "try" is recorded', () => {
    given()
      .when(create('a', { quiesce: 'require', diskOnly: true }))
      .refuses('no-guest-agent');
    given()
      .when(create('a', { quiesce: 'try' }))
      .records(requested('a', null, { quiesce: 'try' }));
  });

  test('"require" with an agent is recorded, "none" is nothing to record', () => {
    given(withAgent)
      .when(create('a', { quiesce: 'require', diskOnly: true }))
      .records(requested('a', null, { quiesce: 'require', diskOnly: true }));
    given(withAgent)
      .when(create('a', { quiesce: 'none' }))
      .records(requested('a'));
  });

  test('"require" with memory is refused, agent or not: the guest would be captured frozen', () => {
    for (const story of [given(), given(withAgent)]) {
      story.when(create('a', { quiesce: 'require' })).refuses('invalid-combination');
      story.when(create('a', { quiesce: 'require', memory: 'external' })).refuses('invalid-combination');
    }
  });
});
