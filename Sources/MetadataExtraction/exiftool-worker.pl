# Extracts embedded metadata from files, and writes it into copies of them, with the ExifTool library.
#
# Runs in assetfs-worker's sandbox: descriptor 0 is a SOCK_SEQPACKET socket. A request is one message with one
# descriptor (two for writing: the file and the copy) and fields that end with NUL: the verb, the extension of
# the file's name, and the verb's arguments. A reply is fields that end with NUL, in messages that begin with
# “+” where more follow and “.” where none do. The first argument is the number of recvmsg(2).
use strict;
use warnings;
BEGIN { $Image::ExifTool::configFile = "" }
no warnings "once";
use POSIX ();
use Image::ExifTool;
use File::RandomAccess;

my $recvmsg = shift @ARGV;

# All modules are loaded before the first file comes, because no file can be opened after that. This takes
# most of a second; but tables that are loaded one by one, as files need them, have tags without a group in
# some orders of files (ID3:Year of ExifTool 12.57).
{
    local $SIG{__WARN__} = sub { };
    Image::ExifTool::LoadAllTables();
    require Image::ExifTool::MWG;
    $Image::ExifTool::MWG::strict = 0;
    Image::ExifTool::MWG::Load();
    my ($folder) = $INC{'Image/ExifTool.pm'} =~ /(.*)\.pm$/;
    for my $file (glob("$folder/*.pm"), glob("$folder/*.pl")) {
        (my $name = $file) =~ s{.*/}{Image/ExifTool/};
        eval { require $name } unless $name =~ m{/(?:Geotag|TagInfoXML|BuildTagLookup|TestLib)};
    }
    eval "require $_" for qw(Archive::Zip Compress::Zlib Digest::MD5 Digest::SHA Encode IO::Compress::Bzip2 IO::Compress::RawDeflate
        IO::Uncompress::Bunzip2 IO::Uncompress::RawInflate MIME::Base64 Time::Local mro overload overloading utf8 re);
    for my $charset (qw(Arabic Baltic Cyrillic DOSCyrillic DOSLatin1 DOSLatinUS Greek Hebrew JIS Latin Latin2 MacArabic MacChineseCN
        MacChineseTW MacCroatian MacCyrillic MacGreek MacHebrew MacIceland MacJapanese MacKorean MacLatin2 MacRSymbol MacRoman
        MacRomanian MacThai MacTurkish PDFDoc ShiftJIS Symbol Thai Turkish Vietnam)) {
        eval { Image::ExifTool::Charset::LoadCharset($charset) };
    }
}
{
    # Trying the key of a PDF with AES-256 takes seconds, and fails without a password.
    no warnings 'redefine';
    my $init = \&Image::ExifTool::PDF::DecryptInit;
    *Image::ExifTool::PDF::DecryptInit = sub($$$) {
        my $encryption = $_[1];
        return 'Encrypted' if ref $encryption eq 'HASH' and ($$encryption{R} || 0) >= 5;
        goto &$init;
    };
}

# landlock_create_ruleset(2) and landlock_restrict_self(2), whose numbers are equal on all machines: no right
# to any file is granted, so that from here on only the descriptors of requests can be used.
{
    my $rights = pack 'Q', (1 << 13) - 1;
    my $rules = syscall 444, $rights, 8, 0;
    die "landlock: $!" if $rules < 0 or syscall(446, $rules, 0) != 0;
    POSIX::close($rules);
}

# Receives a request: its fields and its descriptors; exits when the daemon has ended.
sub receive {
    my $text = "\0" x 65536;
    my $part = pack 'P65536 Q', $text, length $text;
    my $control = "\0" x 24;
    my $message = pack 'Q L x4 P16 Q P24 Q L x4', 0, 0, $part, 1, $control, 24, 0;
    my $count = syscall $recvmsg, 0, $message, 0x40000000;
    exit 0 if $count <= 0;
    my ($length, $level, $type, @files) = unpack 'Q l l l l', $control;
    my $files = $level == 1 && $type == 1 ? ($length - 16) / 4 : 0;
    my @fields = split /\0/, substr($text, 0, $count), -1;
    pop @fields;
    return (\@fields, @files[0 .. $files - 1]);
}

sub answer {
    my $text = join '', map { "$_\0" } @_;
    for (my $at = 0; ; $at += 60000) {
        my $isLast = $at + 60000 >= length $text;
        syswrite STDOUT, ($isLast ? '.' : '+') . substr($text, $at, 60000);
        last if $isLast;
    }
}

# Converts a value to a field: text without NUL, of at most 16 KiB.
sub text {
    my $value = shift;
    $value = substr $value, 0, 16384 if length $value > 16384;
    $value =~ s/\0+\z//;
    $value =~ s/\0/\n/g;
    return $value;
}

my %options = (
    PrintConv => 0, Duplicates => 1, LargeFileSupport => 1, Composite => 1, CharsetEXIF => 'UTF8', QuickTimeUTC => 1, Password => ''
);

# Returns a file's tags as fields: the group, the group and name that the mappings use, the number of values,
# and the values.
sub extract {
    my ($file, $extension) = @_;
    open my $handle, '<&=', $file or return ('error', "$!");
    binmode $handle;
    my $tool = Image::ExifTool->new;
    $tool->Options(%options);
    $$tool{RAF} = File::RandomAccess->new($handle);
    $$tool{REQUESTED_TAGS} = [];
    $$tool{FILENAME} = "f.$extension";
    eval { $tool->ExtractInfo(); 1 } or return ('error', text($@));
    my (@reply, %seen);
    my $left = 400_000;
    my @tags = $tool->GetFoundTags('File');
    # Of several tags with one name ExifTool prefers the one without a number; it comes first.
    for my $tag ((grep { !/\(/ } @tags), (grep { /\(/ } @tags)) {
        my ($outer, $inner) = ($tool->GetGroup($tag, 0), $tool->GetGroup($tag, 1));
        # The camera's private notes are needed only for the composite tags; IFD1 is about the thumbnail.
        next if $outer eq 'MakerNotes' or $outer eq 'ICC_Profile' or $inner eq 'System' or $inner eq 'IFD1';
        (my $name = $tag) =~ s/ \(\d+\)$//;
        next if $seen{"$inner:$name"}++ > 20;
        my $value = $tool->GetValue($tag, $name =~ /^Lens(ID|Type)$/ ? 'PrintConv' : 'ValueConv');
        my @values = grep { defined and !ref } ref $value eq 'ARRAY' ? @$value : $value;
        splice @values, 1000 if @values > 1000;
        next unless @values;
        my @fields = ($outer, "$inner:$name", scalar @values, map { text($_) } @values);
        $left -= length for @fields;
        last if $left < 0;
        push @reply, @fields;
    }
    return ('ok', @reply);
}

# Returns ExifTool with new values for tags, given as NAME=VALUE, NAME+=VALUE or NAME?=VALUE, and the unknown
# tags.
sub writer {
    my ($isExact, @tags) = @_;
    my $tool = Image::ExifTool->new;
    $tool->Options(%options, IgnoreMinorErrors => $isExact ? 0 : 1, CharsetIPTC => 'UTF8');
    my (@unknown, %lists);
    my $set = sub {
        my ($name, $value, @options) = @_;
        my $error;
        my $count = eval { (my $done, $error) = $tool->SetNewValue($name, $value, Protected => 1, @options); $done };
        push @unknown, $name if not @options and ($error or not defined $count);
    };
    for my $tag (@tags) {
        my ($name, $value) = split /=/, $tag, 2;
        $value = undef unless length $value;
        # A list is given value by value, and replaces the present one.
        if ($name =~ s/\+$//) { push @{$lists{$name}}, $value }
        elsif ($name =~ s/\?$//) { $set->($name, $value, defined $value ? (EditOnly => 1) : (EditOnly => 0)) }
        else { $set->($name, $value) }
    }
    $set->($_, $lists{$_}) for sort keys %lists;
    return ($tool, @unknown);
}

sub written {
    my ($isExact, $tags, $in, $out, $extension, $type) = @_;
    my ($tool, @unknown) = writer($isExact, @$tags);
    return ('error', 'ExifTool cannot write ' . join ', ', @unknown) if @unknown and ($isExact or @unknown == @$tags);
    $$tool{FILENAME} = "f.$extension" if $in;
    my $result = eval { $tool->WriteInfo($in, $out, $type) };
    return ('error', text($@)) unless defined $result;
    return ('error', text($tool->GetValue('Error') || 'ExifTool cannot write files of this kind')) unless $result;
    my $warning = $tool->GetValue('Warning');
    # ExifTool ignores the problems that it calls minor, and leaves them as they are.
    return ('error', text($warning)) if $isExact and $warning and $warning !~ /^\[minor\]/i;
    return ('ok', $result == 1 ? 'changed' : 'same', map { text($_) } @unknown);
}

# Writes tags into a copy of a file.
sub embed {
    my ($isExact, $file, $copy, $extension, @tags) = @_;
    open my $in, '<&=', $file or return ('error', "$!");
    open my $out, '+<&=', $copy or return ('error', "$!");
    binmode $_ for $in, $out;
    return written($isExact, \@tags, $in, $out, $extension);
}

# Writes tags into a separate file.
sub sidecar {
    my ($file, @tags) = @_;
    open my $out, '+<&=', $file or return ('error', "$!");
    binmode $out;
    return written(0, \@tags, undef, $out, '', 'XMP');
}

# Finds the orientations of a JPEG or TIFF file: offsets of the values, with their byte order and the values.
#
# TIFF 6.0 has the tag 0x0112 as one SHORT in each page's directory; in a JPEG that is within an APP1 segment
# (Exif 2.32, 4.7.2).
sub orientations {
    my $file = shift;
    open my $handle, '<&=', $file or return ('error', "$!");
    binmode $handle;
    my $bytes = sub {
        my ($at, $count) = @_;
        return '' if $at < 0 or $at > 1 << 52 or !seek $handle, $at, 0;
        my $read = read($handle, my $buffer, $count);
        return $read && $read == $count ? $buffer : '';
    };
    my @found;
    my $directories = sub {
        my ($base, $end, $all) = @_;
        my $head = $bytes->($base, 8);
        my $order = { II => "<", MM => ">" }->{substr $head, 0, 2}; return unless $order;
        my ($magic, $next) = unpack "x2 S$order L$order", $head;
        # 42, or the numbers of Olympus and Panasonic in its place.
        return unless grep { $magic == $_ } 42, 0x4F52, 0x5352, 0x55;
        my %seen;
        for (my $pages = 0; $next and $pages < 1000 and !$seen{$next}++; $pages++) {
            my $at = $base + $next;
            my $count = unpack "S$order", $bytes->($at, 2) || return;
            for my $index (0 .. $count - 1) {
                my $entry = $at + 2 + 12 * $index;
                last if defined $end and $entry + 12 > $end;
                my ($tag, $type, $values, $value) = unpack "S$order S$order L$order S$order", $bytes->($entry, 12) || return;
                push @found, $entry + 8, $order eq '<' ? 'little' : 'big', $value if $tag == 0x112 and $type == 3 and $values == 1;
                # TIFF 6.0 has the tag once in each directory.
                last if $tag >= 0x112;
            }
            last unless $all;
            $next = unpack "L$order", $bytes->($at + 2 + 12 * $count, 4) || return;
        }
    };
    if ($bytes->(0, 2) eq "\xFF\xD8") {
        for (my $at = 2; ; ) {
            my ($marker, $kind, $length) = unpack 'C C n', $bytes->($at, 4) || last;
            last if $marker != 0xFF or $kind == 0xDA or $kind == 0xD9 or $length < 2;
            if ($kind == 0xE1 and $bytes->($at + 4, 6) eq "Exif\0\0") {
                $directories->($at + 10, $at + 2 + $length, 0);
                last;
            }
            $at += 2 + $length;
        }
    } else {
        $directories->(0, undef, 1);
    }
    return ('ok', @found);
}

syswrite STDOUT, 'ready';
while (my ($fields, @files) = receive()) {
    my ($verb, $extension, @arguments) = @$fields;
    local $SIG{__WARN__} = sub { };
    $extension = '' unless defined $extension and $extension =~ /^[A-Za-z0-9]{1,8}$/;
    if ($verb eq 'extract' and @files == 1) { answer(extract(@files, $extension)) }
    elsif ($verb eq 'orientations' and @files == 1) { answer(orientations(@files)) }
    elsif ($verb eq 'sidecar' and @files == 1) { answer(sidecar(@files, @arguments)) }
    elsif ($verb eq 'embed' and @files == 2) { answer(embed(0, @files, $extension, @arguments)) }
    elsif ($verb eq 'turn' and @files == 2) { answer(embed(1, @files, $extension, @arguments)) }
    else { answer('error', 'no such request') }
    # Closes the descriptors that Perl's handles have left open.
    POSIX::close($_) for @files;
}
