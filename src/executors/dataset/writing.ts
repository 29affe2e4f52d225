import type { Category, ImageData, ImageSet } from '../../loop/protocol/index.js'

export type ExportOptions = {
  /** The workspace; the dataset is written to `<folder>/dataset`. */
  readonly folder: string
  readonly images: readonly ImageData[]
  /** Where the image lies in the cache. */
  readonly imagePath: (id: string) => string
  readonly categories: readonly Category[]
  readonly signal: AbortSignal
}

/** What the writer of one format gets: `target` is built, then renamed to `finalFolder`, which paths may name. */
export type DatasetWriting = ExportOptions & { readonly target: string; readonly finalFolder: string }

/** One format: all that is known of it but its name. */
export type DatasetWriter = {
  /** The images that are of use in this format; all without it. */
  readonly choose?: (options: Pick<ExportOptions, 'images' | 'categories'>) => readonly ImageData[]
  /** What needs images to test with, as the error names it; formats without it are exported without any, too. */
  readonly needsTestImages?: string
  /** Images are linked, never changed. */
  readonly write: (writing: DatasetWriting) => Promise<void>
}

/** The sets a dataset has folders for: train and test always, val only with images of its own. */
export function setsOf(images: readonly ImageData[]): readonly ImageSet[] {
  return images.some(({ set }) => set === 'val') ? ['train', 'test', 'val'] : ['train', 'test']
}
