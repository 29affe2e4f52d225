/** What the generator needs to know of a project; a missing key is 0, false or the default (wire spelling). */
export type ShapesConfig = {
  readonly project_name: string
  readonly inbox?: number
  readonly annotate?: number
  readonly review?: number
  readonly complete?: number
  /** `plain` draws one flat colour behind the shapes, `beautiful` (the default) a noisy gradient. */
  readonly image_style?: string
  readonly box_categories?: number
  readonly point_categories?: number
  readonly segmentation_categories?: number
  /** Shapes per image: missing means 3 to 6; 0 draws 3 to 6 that nobody has annotated. */
  readonly box_annotations?: number
  readonly tags?: number
  /** The share of images in the `train` set, 0.8 if missing. */
  readonly train_share?: number
  /** Ids for the first images, for tests that name one. */
  readonly image_ids?: readonly string[]
}

export const imageStates = ['complete', 'review', 'annotate', 'inbox'] as const
export type ImageState = (typeof imageStates)[number]

/** Image ids that the tests of the Python library name for the projects they generate. */
export const knownImageIds: Readonly<Record<string, readonly string[]>> = {
  pytest_p: ['501205a9-9b64-3df0-3785-507a677b7f05'],
  pytest_nodelib_annotator: ['10f7d7d2-4076-7006-af37-fa28a6a848ae'],
}
