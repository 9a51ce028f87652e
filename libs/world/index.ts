export type {
  Clock,
  Connect,
  Connection,
  FileKind,
  Files,
  FileStat,
  Finished,
  Ids,
  Lock,
  Measure,
  Random,
  ReceiveOptions,
  Receiving,
  Run,
  RunOptions,
  SendOptions,
  Streams,
  TakeLock,
  World,
} from './world.ts';
export { ConnectTrouble, FileTrouble, type ConnectCode } from './trouble.ts';
export { named, pointBeside, runTouch, saidTouches, type Side } from './named.ts';
export { parseRfc3339, rfc3339 } from './rfc3339.ts';
export { realWorld } from './real/real-world.ts';
