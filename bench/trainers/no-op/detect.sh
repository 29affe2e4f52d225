# "Detects": one fixed box of the first category in every image of the folder $1, as label files in the folder $2.
mkdir -p "$2/labels"
for image in "$1"/*.jpg; do
  name=${image##*/}
  printf '0 0.5 0.5 0.1 0.1 0.99\n' >"$2/labels/${name%.jpg}.txt"
done
