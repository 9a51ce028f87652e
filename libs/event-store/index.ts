export { canonicalJson, type Json, NotJson } from './canonical-json.ts';
export type { ChainEnd, Envelope, EventShape, Recorded, Seal, SealedEvent, StoredEvent } from './envelope.ts';
export { CHAIN_START, ChainBroken, digestOf, opened, seal, verifyChain } from './seal.ts';
export {
  comparePositions,
  type EventStore,
  isPosition,
  PAGE_EVENTS_MAX,
  StoreTrouble,
  type StoreTroubleKind,
  type StreamHead,
  type StreamSlice,
  VersionConflict,
} from './store.ts';
export {
  type Asked,
  type Decider,
  type Handled,
  KeyReused,
  recorded,
  StaleVersion,
  UnknownEvent,
} from './decider.ts';
export { type Ledger, openLedger } from './handle.ts';
export type { LedgerParts } from './recall.ts';
export {
  follow,
  type FollowedBatch,
  type Follower,
  type FollowerState,
  type FollowerTrouble,
  type Following,
} from './follow.ts';
export type { PersistedState, StateStore } from './state-store.ts';
export { MemoryDisk, openMemoryStore } from './memory/memory-store.ts';
export { openMemoryStates } from './memory/memory-states.ts';
export { openSqliteStore } from './sqlite/sqlite-store.ts';
export { openSqliteStates } from './sqlite/sqlite-states.ts';
export { backup, restore } from './sqlite/copy.ts';
export { type Heads, openHeads, type Verified, verifiedEvents, verifyFile } from './sqlite/verify.ts';
