import type { DataOf, VmEventType } from '#ledger';
import type { Head } from './heads.ts';

/** An event's circumstances, as every view is told them. */
export interface Happening {
  /** The VM before the event; views bring it up to date. */
  readonly head: Head;
  /** Of the VM's stream, right after the event. */
  readonly version: number;
  /** RFC 3339 with a fixed width: such texts compare like the instants they name. */
  readonly recordedAt: string;
  readonly actor: string;
  readonly correlationId: string;
}

type Data = { readonly [T in VmEventType]: DataOf<T> };

/** What a view does about each kind of event. A kind that is left out does not compile. */
export type Handlers = { readonly [T in VmEventType]: (data: Data[T], at: Happening) => void };

/** For events that a view does not show. */
export const ignore = (): void => undefined;

/** Calls the handler of one event. */
export const tell = <T extends VmEventType>(on: Handlers, type: T, data: Data[T], at: Happening): void =>
  on[type](data, at);

/** A view at work on an open file. */
export interface View {
  readonly on: Handlers;
  /** Hands over the rows that are still changing. Called before every commit; harmless at any other time. */
  settle(): void;
}
