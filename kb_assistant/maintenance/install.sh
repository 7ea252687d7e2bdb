#!/bin/sh
# Installs kb-assistant from this folder, without a network: sh install.sh [FOLDER]
# FOLDER (~/kb-assistant) becomes a Python environment; PYTHON names the Python to make it with.
# Models go to the home: KB_HOME, else the usual place. Run again it goes on, or brings a new version in.
set -eu
umask 022

say() { printf '%s\n' "$*" >&2; }
fail() { say "install.sh: $1" "${2+
    $2}"; exit 1; }

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
target=${1-"$HOME/kb-assistant"}
case $target in /*) ;; *) target=$PWD/$target ;; esac
cd "$here"
[ -f SHA256SUMS ] || fail "This bundle isn't complete: SHA256SUMS is missing." "Run its kb bundle again."

say "Checking the files"
if command -v sha256sum >/dev/null; then check='sha256sum'; else check='shasum -a 256'; fi
damaged=$($check -c SHA256SUMS 2>/dev/null | grep -v ': OK$' || true)
[ -z "$damaged" ] || fail "Nothing was installed. Damaged or missing: $damaged" "Copy the bundle again."
# grep prints nothing also where the tool fails as a whole: its exit status counts, too.
$check -c SHA256SUMS >/dev/null 2>&1 || fail "Nothing was installed. SHA256SUMS is damaged." "Copy the bundle again."
listed=$(grep -cE '^[0-9a-f]{64}  (wheels|models)/' SHA256SUMS)
present=$(find wheels models -type f ! -name '.*' | wc -l)
[ "$listed" -eq "$present" ] ||
    fail "Nothing was installed. wheels/ and models/ hold $present files; listed are $listed." "Remove what was added."

field() { sed -n "s/.*\"$1\": \"\(.*\)\".*/\1/p" bundle.json; }
wanted=$(field python) system=$(field system)
[ "$(uname -s) $(uname -m)" = "$system" ] || fail "This bundle is for $system; this is $(uname -s) $(uname -m)."

python=
for each in ${PYTHON-} "python$wanted" python3; do
    if [ "$("$each" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$wanted" ]; then
        python=$each
        break
    fi
done
[ -n "$python" ] || fail "Python $wanted is needed." "Install it, or name it: PYTHON=/path/to/python$wanted sh install.sh"

say "Installing into $target"
[ ! -e "$target" ] || [ -f "$target/pyvenv.cfg" ] ||
    [ -z "$(ls -A "$target")" ] || fail "$target holds something else." "Name another folder: sh install.sh FOLDER"
"$python" -m venv "$target" || fail "No environment could be made in $target." "On Debian: apt install python$wanted-venv"
# Only these wheels: neither another index nor other settings of pip count.
PIP_CONFIG_FILE=/dev/null "$target/bin/python" -m pip --isolated --disable-pip-version-check install -q --no-index \
    --find-links wheels --require-hashes -r requirements.txt ||
    fail "The packages couldn't be installed; see above." "Mend that, then run it again."

models=$("$target/bin/python" -c 'from kb_assistant.settings import Settings; print(Settings.load().models_dir)')
mkdir -p "$models"
for folder in models/*/; do
    [ -d "$folder" ] || continue
    name=$(basename "$folder")
    [ ! -e "$models/$name" ] || continue
    say "Copying the model $name"
    rm -rf "$models/.install-$name"
    cp -R "$folder" "$models/.install-$name"
    mv "$models/.install-$name" "$models/$name"
done

say "Done. Begin with: $target/bin/kb doctor"
