import type { OperationOf } from '../errand.ts';
import type { Start } from '../journal.ts';
import type { LoadWish } from './load-check.ts';
import type { Pin } from './load-pin.ts';

/** A load that has begun. */
export interface Loading {
  readonly operation: OperationOf<'load'>;
  readonly start: Start;
  readonly wish: LoadWish;
  /** What it saves of the present before it leaves it. */
  readonly pin: Pin;
}
