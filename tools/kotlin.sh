#!/bin/sh
# Fetches the Kotlin compiler and its libraries with Maven into a folder: tools/kotlin.sh DIR
# Tests of exported Kotlin use it: FAREBOX_KOTLIN=DIR make test ARGS="-k Kotlin"
set -eu
[ $# -eq 1 ] || { echo "usage: tools/kotlin.sh DIR" >&2; exit 2; }
command -v mvn >/dev/null || { echo "tools/kotlin.sh: mvn is missing: install Maven" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT
cat > "$project/pom.xml" <<'POM'
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>farebox</groupId><artifactId>kotlin</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.jetbrains.kotlin</groupId><artifactId>kotlin-compiler-embeddable</artifactId><version>1.9.24</version>
    </dependency>
  </dependencies>
</project>
POM
mvn -q -B -f "$project/pom.xml" dependency:copy-dependencies -DoutputDirectory="$folder"
