export interface Machine {
  /** Two QMP sockets: a monitor serves one client, so the ledger has its own. */
  readonly monitors: readonly string[];
  readonly a: string;
  readonly b: string;
  /** A raw disk besides, or null. */
  readonly raw: string | null;
}

const file = (node: string, name: string): string[] => [
  '-blockdev',
  `driver=file,node-name=${node},filename=${name}`,
];
const layer = (options: string): string[] => ['-blockdev', options];
const disk = (node: string, id: string): string[] => ['-device', `virtio-blk-pci,drive=${node},id=${id}`];

/** QEMU's arguments for the demo's machine. */
export const commandLine = ({ monitors, a, b, raw }: Machine): string[] =>
  [
    ['-machine', 'q35', '-accel', 'tcg', '-m', '32', '-nodefaults', '-display', 'none'],
    ...monitors.map((socket) => ['-qmp', `unix:${socket},server=on,wait=off`]),
    file('a-file', a),
    layer('driver=qcow2,node-name=a,file=a-file'),
    disk('a', 'vda'),
    file('b-file', b),
    layer('driver=blkdebug,node-name=b-debug,image=b-file'), // Can be told to stop at a chosen write.
    layer('driver=qcow2,node-name=b,file=b-debug'),
    disk('b', 'vdb'),
    ...(raw === null
      ? []
      : [file('c-file', raw), layer('driver=raw,node-name=c,file=c-file'), disk('c', 'vdc')]),
  ].flat();
