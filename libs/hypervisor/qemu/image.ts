/** An image on this host's file system. The format is always told, never guessed: a guest can write any header. */
export interface ImageAt {
  readonly file: string;
  readonly format: string;
}

/** How an image's structure is: fit for use, in need of repair, or not to be told. */
export type ImageHealth =
  | { readonly kind: 'clean' }
  | { readonly kind: 'leaking' }
  | { readonly kind: 'damaged'; readonly words: string }
  | { readonly kind: 'locked'; readonly words: string };
