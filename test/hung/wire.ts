/* The wire between ledgerd and a QEMU's monitor, which breaks where it is told to. */
import { createServer, connect, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

export const DIRECTIONS = ['to QEMU', 'from QEMU'] as const;
export type Direction = (typeof DIRECTIONS)[number];

interface Ends {
  readonly ledgerd: Socket;
  readonly qemu: Socket;
}

export class Wire {
  readonly #server: Server;
  readonly #open = new Set<Ends>();
  #carried: Record<Direction, number> = { 'to QEMU': 0, 'from QEMU': 0 };
  #cut: { readonly direction: Direction; readonly bytes: number } | null = null;

  private constructor(monitorPath: string) {
    this.#server = createServer((ledgerd) => this.#join({ ledgerd, qemu: connect(monitorPath) }));
  }

  /** Whoever connects to `path` speaks to the monitor. */
  static async lay(path: string, monitorPath: string): Promise<Wire> {
    const wire = new Wire(monitorPath);
    wire.#server.listen(path);
    await once(wire.#server, 'listening');
    return wire;
  }

  /** Ends what is being said, and counts from now on. */
  anew(): void {
    this.#cut = null;
    this.#carried = { 'to QEMU': 0, 'from QEMU': 0 };
    for (const ends of this.#open) this.#part(ends);
  }

  /** Breaks once, when it has carried so many bytes that way since it was laid anew. The next one is lost. */
  cutAfter(direction: Direction, bytes: number): void {
    this.#cut = { direction, bytes };
  }

  get isCut(): boolean {
    return this.#cut === null;
  }

  get carried(): Readonly<Record<Direction, number>> {
    return this.#carried;
  }

  close(): void {
    this.anew();
    this.#server.close();
  }

  #join(ends: Ends): void {
    this.#open.add(ends);
    for (const end of [ends.ledgerd, ends.qemu])
      end.on('error', () => this.#part(ends)).on('close', () => this.#part(ends));
    ends.ledgerd.on('data', (data) => this.#carry(ends, 'to QEMU', data));
    ends.qemu.on('data', (data) => this.#carry(ends, 'from QEMU', data));
  }

  #carry(ends: Ends, direction: Direction, data: Buffer): void {
    const to = direction === 'to QEMU' ? ends.qemu : ends.ledgerd;
    const left = this.#cut?.direction === direction ? this.#cut.bytes - this.#carried[direction] : Infinity;
    this.#carried[direction] += data.length;
    if (left >= data.length) return void to.write(data);
    this.#cut = null;
    to.write(data.subarray(0, left), () => this.#part(ends));
  }

  #part(ends: Ends): void {
    this.#open.delete(ends);
    ends.ledgerd.destroy();
    ends.qemu.destroy();
  }
}
