export type { DescribedDisk, Discovered } from './discover.ts';
export { FAULT_POINTS, type FaultPoint } from './fault-points.ts';
export { openHypervisor, type Hypervisor, type HypervisorOptions } from './hypervisor.ts';
export { Fenced, type Journal, type Start } from './journal.ts';
export { NotNow } from './not-now.ts';
export type { Power, SeenDisk, SeenTag, Sight } from './sight.ts';
export type { Status } from './status.ts';
export { pruneTranscripts, TRANSCRIPT_AGE_MAX_MS } from './transcript.ts';
