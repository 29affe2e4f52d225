import { access } from 'node:fs/promises'
import type { ImageExchange } from '../../loop/client/index.js'
import type { ReceivedInput } from './annotation-input.js'
import { AnnotationImageError } from './errors.js'

type Wanted = Pick<ReceivedInput, 'organization' | 'project' | 'imageId'>

/** Brings an image to this machine once; every further input for it finds it there. */
export type AnnotationImages = {
  /** The path of the image. Throws LF_ANNOTATION_IMAGE when the Loop has none, and the Loop's own trouble otherwise. */
  pathOf(wanted: Wanted, options: { readonly signal: AbortSignal }): Promise<string>
  /** Looks for it again next time: somebody may have cleared the folder. */
  forget(path: string): void
}

const KNOWN = 1000

export function createAnnotationImages(deps: {
  readonly images: Pick<ImageExchange, 'fetchImages' | 'imagePath'>
}): AnnotationImages {
  const { images } = deps
  // A look at the disk for every move of a mouse would be the slowest part of most answers.
  const known = new Set<string>()

  function remember(path: string): string {
    known.add(path)
    for (const oldest of known) {
      if (known.size <= KNOWN) break
      known.delete(oldest)
    }
    return path
  }

  return {
    forget: (path) => void known.delete(path),
    async pathOf({ organization, project, imageId }, { signal }) {
      const wanted = { organization, project, imageId }
      const path = images.imagePath(organization, project, imageId)
      if (known.has(path)) return path
      if (await isThere(path)) return remember(path)
      const fetched = await images.fetchImages({ organization, project, ids: [imageId], signal })
      if (fetched.missing.length > 0) throw new AnnotationImageError(wanted, 'cannot be had from the Loop')
      if (fetched.corrupt.length > 0) throw new AnnotationImageError(wanted, 'came as something that is no whole JPEG')
      return remember(path)
    },
  }
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
