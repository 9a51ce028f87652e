import { expect, test } from 'vitest';
import { parseBlocks, parseChains, parseImage, parseNodes } from './blocks.ts';

const snapshot = {
  id: '1',
  name: 'sl-1',
  'vm-state-size': 821_716,
  'date-sec': 1_795_261_579,
  'date-nsec': 523_069_000,
  'vm-clock-sec': 0,
  'vm-clock-nsec': 557_488_938,
  icount: 0,
};
const readSnapshot = {
  id: '1',
  name: 'sl-1',
  vmStateSize: 821_716,
  dateSec: 1_795_261_579,
  dateNsec: 523_069_000,
  vmClockSec: 0,
  vmClockNsec: 557_488_938,
};
const image = { filename: '/d/a.qcow2', format: 'qcow2', 'virtual-size': 8_388_608 };
const inserted = { 'node-name': 'da', drv: 'qcow2', ro: false, file: '/d/a.qcow2', image };
const disk = { device: '', qdev: '/machine/peripheral/dev-da/virtio-backend', inserted };
const readDisk = {
  device: '',
  qdev: '/machine/peripheral/dev-da/virtio-backend',
  nodeName: 'da',
  driver: 'qcow2',
  readOnly: false,
  file: '/d/a.qcow2',
  hasDirtyBitmaps: false,
  snapshots: [],
  virtualSizeBytes: 8_388_608,
  backingFile: null,
};

test('a disk is read with what it holds', () => {
  expect(parseBlocks([disk])).toEqual([readDisk]);
  const full = {
    ...inserted,
    ro: true,
    'dirty-bitmaps': [{ name: 'b0' }],
    image: { ...image, snapshots: [snapshot] },
  };
  expect(parseBlocks([{ device: 'drive0', inserted: full }])).toEqual([
    {
      ...readDisk,
      device: 'drive0',
      qdev: null,
      readOnly: true,
      hasDirtyBitmaps: true,
      snapshots: [readSnapshot],
    },
  ]);
  expect(parseBlocks([{ ...disk, inserted: { ...inserted, 'dirty-bitmaps': [] } }])).toEqual([readDisk]);
});

test('a device without a medium is no disk', () => {
  expect(parseBlocks([{ device: '', qdev: 'cd0', removable: true, tray_open: false }, disk])).toEqual([
    readDisk,
  ]);
});

const backingOf = (image: object): string | null | undefined =>
  parseBlocks([{ ...disk, inserted: { ...inserted, image } }])[0]?.backingFile;

test('the backing file is the one QEMU has open, else the one the image names', () => {
  const named = { ...image, 'backing-filename': 'a.qcow2', 'full-backing-filename': '/d/a.qcow2' };
  const open = {
    ...named,
    'backing-image': { ...image, filename: 'json:{"file":{"filename":"/d/b.qcow2"}}' },
  };
  expect(backingOf(named)).toBe('/d/a.qcow2');
  expect(backingOf(open)).toBe('/d/b.qcow2');
});

// As QEMU 7.2 wrote them.
test.each([
  ['/d/a.qcow2', '/d/a.qcow2'],
  ['blkdebug::/d/b.qcow2', '/d/b.qcow2'],
  ['blkdebug:/d/rules:/d/b.qcow2', '/d/b.qcow2'],
  [
    'json:{"backing": {"driver": "qcow2", "file": {"driver": "file", "filename": "/d/a.qcow2"}}, "driver": "qcow2", "file": {"driver": "file", "filename": "/d/o.qcow2"}}',
    '/d/o.qcow2',
  ],
  [
    'json:{"driver": "qcow2", "file": {"driver": "blkdebug", "image": {"driver": "file", "filename": "/d/b"}}}',
    '/d/b',
  ],
  ['json:{"driver": "qcow2", "file.driver": "file", "file.filename": "/d/a"}', '/d/a'],
  ['json:{"driver": "qcow2", "file": {"driver": "nbd", "server": {"host": "h"}}}', 'same'],
  ['json:{"driver": "qcow2", "file": "node7"}', 'same'],
  ['json:{"driver": ', 'same'],
  ['nbd://h:10809/x', 'nbd://h:10809/x'],
  ['null-co://', 'null-co://'],
])('the file behind %s is %s', (name, file) => {
  const [read] = parseBlocks([{ ...disk, inserted: { ...inserted, file: name } }]);
  expect(read?.file).toBe(file === 'same' ? name : file);
});

test('layers without end lead to no file', () => {
  const name = `json:${'{"file":'.repeat(9)}{"filename":"/d/deep"}${'}'.repeat(9)}`;
  expect(parseBlocks([{ ...disk, inserted: { ...inserted, file: name } }])[0]?.file).toBe(name);
});

test('nodes are read without devices', () => {
  const { device: _, qdev: __, ...node } = readDisk;
  expect(parseNodes([inserted])).toEqual([node]);
});

test("what qemu-img tells of an image is read like QEMU's own words", () => {
  expect(parseImage({ ...image, snapshots: [snapshot], 'actual-size': 1 })).toEqual({
    file: '/d/a.qcow2',
    format: 'qcow2',
    virtualSizeBytes: 8_388_608,
    snapshots: [readSnapshot],
    backingFile: null,
    backingFormat: null,
  });
});

test.each([
  [[{ inserted }], 'query-block[0]: expected a member "device"'],
  [[{ ...disk, inserted: { ...inserted, ro: 'no' } }], 'query-block[0].inserted.ro: expected true or false'],
  [
    [{ ...disk, inserted: { ...inserted, image: { ...image, snapshots: [{ ...snapshot, name: 1 }] } } }],
    'query-block[0].inserted.image.snapshots[0].name: expected a text',
  ],
])('a reply that does not have the shape is garbled, and the message says where', (reply, message) => {
  expect(() => parseBlocks(reply)).toThrow(message);
});

const standingOn = (filename: string, below?: object): object => ({
  ...image,
  filename,
  ...(below && { 'backing-image': below }),
});

test('the chain under a device is read to its end, and one without a medium has none', () => {
  const json = 'json:{"driver": "qcow2", "file": {"driver": "file", "filename": "/d/b.qcow2"}}';
  const chain = standingOn('/d/c.qcow2', standingOn(json, standingOn('/d/a.raw')));
  const stacked = { ...disk, inserted: { ...inserted, image: chain } };
  expect(parseChains([{ device: '', qdev: 'cd0' }, stacked, disk])).toEqual([
    ['/d/c.qcow2', '/d/b.qcow2', '/d/a.raw'],
    ['/d/a.qcow2'],
  ]);
});
