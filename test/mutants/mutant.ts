import type { Detour } from '../simulation/detours.ts';

/** A mistake that a tired engineer could make, in one file of the product. */
export interface Mutant {
  /** What the program does wrong then. */
  readonly name: string;
  readonly file: string;
  /** What stands there, once. */
  readonly find: string;
  readonly replace: string;
  /** The way that leads to where it shows; absent: worlds of all kinds show it. */
  readonly journey?: Detour;
}

/** The file's text with the mistake in it. Throws when the product has moved on and there is no such place any more. */
export function mistaken(text: string, { name, file, find, replace }: Mutant): string {
  const places = text.split(find).length - 1;
  if (places !== 1) throw new Error(`"${name}": ${file} has ${places} places like ${JSON.stringify(find)}`);
  if (find === replace) throw new Error(`"${name}" changes nothing`);
  return text.replace(find, () => replace);
}
