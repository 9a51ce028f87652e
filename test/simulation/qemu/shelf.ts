import type { FileTree } from '../simulated-files.ts';
import { blank, type Content, over } from './content.ts';
import type { Image } from './image.ts';

/** The images of the host as they lie in its files, and when the guest that uses one was last at work. */
export class Shelf {
  readonly files: FileTree;
  readonly instantOf: (image: Image) => number;

  constructor(files: FileTree, instantOf: (image: Image) => number) {
    this.files = files;
    this.instantOf = instantOf;
  }

  /** What an image reads through the files that its header and theirs name. */
  read(image: Image): Content {
    return over(image.content, this.below(image));
  }

  below({ backing }: Pick<Image, 'backing'>): Content {
    const lower = backing && this.files.image(backing.path);
    return lower ? this.read(lower) : blank();
  }

  /** The image and all that it stands on, top first. */
  chainOf(image: Image): Image[] {
    const chain = [image];
    for (let lower = this.#under(image); lower; lower = this.#under(lower)) chain.push(lower);
    return chain;
  }

  #under({ backing }: Image): Image | undefined {
    return backing ? this.files.image(backing.path) : undefined;
  }
}
