import type { SavedMemory } from './content.ts';

export interface Migration {
  status: 'active' | 'completed' | 'failed' | 'cancelled';
  error: string | null;
}

/** Whoever takes a machine's memory: hears how much there is, and then that there is no more. */
export interface Receiver {
  readonly isOpen: boolean;
  take(text: string): void;
  /** Null: the sender died, or gave up. */
  end(memory: SavedMemory | null): void;
}
