# Writes out a template of the SQL script: awk -v dir=sql -f expand.awk FILE
#
# A line
#	@include FILE name=value other="a longer value"
# stands for FILE of the folder dir, in which @name@ stands for the value;
# that file may include others.  A name without a value is an error.

function fail(message)
{
	print "expand.awk: " message >"/dev/stderr"
	exit 1
}

# set: the values, as the line that included the file gives them
function expand(file, set,    line, got)
{
	while ((got = (getline line <file)) > 0)
	{
		line = fill(line, set)
		if (line ~ /@[a-z_]+@/)
			fail(file ": no value for " line)
		if (line ~ /^@include /)
			include(line)
		else
			print line
	}
	if (got < 0)
		fail("cannot read " file)
	close(file)
}

function include(line,    words)
{
	split(line, words, " ")
	sub(/^@include [^ ]+/, "", line)
	expand(dir "/" words[2], line)
}

function fill(line, set,    pair, name, value)
{
	while (match(set, /[a-z_]+=("[^"]*"|[^ "]+)/))
	{
		pair = substr(set, RSTART, RLENGTH)
		set = substr(set, RSTART + RLENGTH)
		name = substr(pair, 1, index(pair, "=") - 1)
		value = substr(pair, index(pair, "=") + 1)
		gsub(/"/, "", value)
		gsub("@" name "@", value, line)
	}
	return line
}

BEGIN {
	expand(ARGV[1], "")
}
